"""``python -m services.controller``: the operator of one namespace, and commands that set up an installation.

With ``--crd`` it prints the custom resource, and with ``--jobs RUN`` the Jobs of a run file, for a user to create.
With ``--make-secret NAME`` it creates the keys of a bundled S3 server, and with ``--make-tokens NAME`` the first token
of the API, unless they exist.
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
from services.controller.manifests import jobs_of_run
from services.controller.settings import Settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.controller")
    parser.add_argument("--namespace", default="slipway", help="the namespace whose runs are reconciled")
    parser.add_argument("--settings", type=Path, default=Path("/etc/slipway/settings.yaml"))
    parser.add_argument("--health-port", type=int, default=8080)
    parser.add_argument("--metrics-port", type=int, default=8081)
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    parser.add_argument("--crd", action="store_true", help="print the custom resource and exit")
    parser.add_argument("--jobs", type=Path, metavar="RUN", help="print the Jobs of a run file and exit")
    parser.add_argument("--make-secret", metavar="NAME", help="create the keys of the S3 server at --endpoint and exit")
    parser.add_argument("--endpoint", metavar="URL")
    parser.add_argument("--make-tokens", metavar="NAME", help="create the API's first token and exit")
    options = parser.parse_args(arguments)
    try:
        if options.crd:
            return _print([crd()])
        if options.jobs:
            run = parse_run(options.jobs.read_bytes(), str(options.jobs))
            return _print(jobs_of_run(run, read_settings_file(options.settings, Settings)))
        if secrets := _secrets(options):
            return _create(options.namespace, secrets)
        return _operate_with_log(options)
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_INPUT


def _operate_with_log(options: argparse.Namespace) -> int:
    """Run the operator; if it fails, log the reason."""
    start_log("controller", "", options.log_format)
    try:
        return _operate(options.namespace, options.settings, options.health_port, options.metrics_port)
    except SlipwayError as error:
        event("controller_failed", logging.ERROR, error=str(error))
        return error.exit_code


def _operate(namespace: str, file: Path, health_port: int, metrics_port: int) -> int:
    from services.controller.context import ControllerContext
    from services.controller.kube.client import connect
    from services.controller.kube.informer import CachedCluster
    from services.controller.operator import operate

    settings = read_settings_file(file, Settings)
    cluster = CachedCluster(connect(namespace))
    context = ControllerContext(cluster, open_store(settings.store.url), settings, timestamp)
    return operate(context, cluster, namespace, health_port, metrics_port)


def _secrets(options: argparse.Namespace) -> list[KubernetesObject]:
    """Return the Secrets to create.

    Raises:
      SpecError: `--make-secret` is given without `--endpoint`.
    """
    if options.make_secret and not options.endpoint:
        raise SpecError("--make-secret needs --endpoint, the address of the S3 server")
    keys = [store_keys(options.make_secret, options.endpoint)] if options.make_secret else []
    return keys + ([first_token(options.make_tokens)] if options.make_tokens else [])


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
