"""``python -m services.controller``: watches one namespace; beside it, what an installation is made of.

With ``--crd`` it prints the custom resource, with ``--jobs RUN`` the Jobs of a run file, to be made by hand. With
``--make-secret NAME`` it makes the keys of a bundled S3 server, and with ``--make-tokens NAME`` the API's first token,
unless they are there.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from slipway.errors import EXIT_INPUT, SlipwayError, SpecError
from slipway.events import event, start_log
from slipway.kube.objects import KubernetesObject
from slipway.run.run_file import parse_run
from slipway.settings_file import read_settings_file
from slipway.stage.runner import leave
from slipway.store.from_url import open_store
from slipway.text import timestamp

from services.controller.install.crd import crd
from services.controller.install.secrets import first_token, store_keys
from services.controller.manifests import by_hand
from services.controller.settings import Settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.controller")
    parser.add_argument("--namespace", default="slipway", help="the only one that is looked at")
    parser.add_argument("--settings", type=Path, default=Path("/etc/slipway/settings.yaml"))
    parser.add_argument("--health-port", type=int, default=8080)
    parser.add_argument("--metrics-port", type=int, default=8081)
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    parser.add_argument("--crd", action="store_true", help="print the custom resource and leave")
    parser.add_argument("--jobs", type=Path, metavar="RUN", help="print the Jobs of a run file and leave")
    parser.add_argument("--make-secret", metavar="NAME", help="make the keys of the S3 server at --endpoint and leave")
    parser.add_argument("--endpoint", metavar="URL")
    parser.add_argument("--make-tokens", metavar="NAME", help="make the API's first token and leave")
    asked = parser.parse_args(arguments)
    try:
        if asked.crd:
            return _print([crd()])
        if asked.jobs:
            run = parse_run(asked.jobs.read_bytes(), str(asked.jobs))
            return _print(by_hand(run, read_settings_file(asked.settings, Settings)))
        made = _secrets(asked)
        if made:
            return _create(asked.namespace, made)
        return _logged(asked)
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_INPUT


def _logged(asked: argparse.Namespace) -> int:
    """Operate, and say in the log why that cannot go on."""
    start_log("controller", "", asked.log_format)
    try:
        return _operate(asked.namespace, asked.settings, asked.health_port, asked.metrics_port)
    except SlipwayError as error:
        event("controller_failed", logging.ERROR, error=str(error))
        return error.exit_code


def _operate(namespace: str, file: Path, health_port: int, metrics_port: int) -> int:
    from services.controller.kube.client import connect
    from services.controller.kube.informer import CachedCluster
    from services.controller.operator import operate
    from services.controller.reconcile import Desk

    settings = read_settings_file(file, Settings)
    cluster = CachedCluster(connect(namespace))
    desk = Desk(cluster, open_store(settings.store.url), settings, timestamp)
    return operate(desk, cluster, namespace, health_port, metrics_port)


def _secrets(asked: argparse.Namespace) -> list[KubernetesObject]:
    """Return the Secrets that are asked for.

    Raises:
      SpecError: Keys without the address of the server whose keys they are.
    """
    if asked.make_secret and not asked.endpoint:
        raise SpecError("--make-secret needs --endpoint, the address of the S3 server")
    keys = [store_keys(asked.make_secret, asked.endpoint)] if asked.make_secret else []
    return keys + ([first_token(asked.make_tokens)] if asked.make_tokens else [])


def _create(namespace: str, manifests: list[KubernetesObject]) -> int:
    from services.controller.kube.client import connect

    cluster = connect(namespace)
    for manifest in manifests:
        cluster.create(manifest)
    return 0


def _print(manifests: Iterable[Mapping[str, object]]) -> int:
    yaml.safe_dump_all(manifests, sys.stdout, sort_keys=False, width=120)
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
