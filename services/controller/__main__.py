"""``python -m services.controller``: watches one namespace; beside it, what an installation is made of.

With ``--crd`` it prints the custom resource, with ``--jobs RUN`` the Jobs of a run file, to be made by hand, and with
``--make-secret NAME`` it makes the keys of a bundled S3 server, unless they are there.
"""

import argparse
import sys
import time
from pathlib import Path

import yaml

from slipway.errors import EXIT_INPUT, SlipwayError
from slipway.run import parse_run
from slipway.store import open_store
from slipway.telemetry import start_log

from services.controller.crd import crd
from services.controller.jobs import by_hand
from services.controller.secret import secret
from services.controller.settings import read_settings


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.controller")
    parser.add_argument("--namespace", default="slipway", help="the only one that is looked at")
    parser.add_argument("--settings", type=Path, default=Path("/etc/slipway/settings.yaml"))
    parser.add_argument("--log-format", choices=["text", "json"], default="text")
    parser.add_argument("--crd", action="store_true", help="print the custom resource and leave")
    parser.add_argument("--jobs", type=Path, metavar="RUN", help="print the Jobs of a run file and leave")
    parser.add_argument("--make-secret", metavar="NAME", help="make the keys of the S3 server at --endpoint and leave")
    parser.add_argument("--endpoint", metavar="URL")
    asked = parser.parse_args(arguments)
    try:
        if asked.crd:
            return _print([crd()])
        if asked.jobs:
            run = parse_run(asked.jobs.read_bytes(), str(asked.jobs))
            return _print(by_hand(run, read_settings(asked.settings)))
        if asked.make_secret:
            return _make_secret(asked.namespace, asked.make_secret, asked.endpoint)
        start_log("controller", "", asked.log_format)
        return _operate(asked.namespace, asked.settings)
    except SlipwayError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return EXIT_INPUT


def _operate(namespace: str, file: Path) -> int:
    from services.controller.cluster import connect
    from services.controller.operator import operate
    from services.controller.reconcile import Desk

    settings = read_settings(file)
    return operate(Desk(connect(namespace), open_store(settings.store.url), settings, _now), namespace)


def _make_secret(namespace: str, name: str, endpoint: str) -> int:
    from services.controller.cluster import connect

    connect(namespace).create(secret(name, endpoint))
    return 0


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _print(manifests: list[dict[str, object]]) -> int:
    yaml.safe_dump_all(manifests, sys.stdout, sort_keys=False, width=120)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
