"""`slipway logs`: the log of a run's stages so far, or followed to the run's end."""

import sys
from collections.abc import Iterator

from slipway.errors import EXIT_DONE

from services.cli.remote.client import Api, Call, read_chunks, run_path
from services.cli.remote.credentials import connect
from services.cli.remote.errors import ApiUnavailable, printable


def logs(run: str, stage: str | None, follow: bool) -> int:
    """Print a run's log, oldest line first."""
    call = Call("GET", run_path(run, "/logs"), {"stage": stage, "follow": "true" if follow else None})
    api = connect()
    for line in _follow(api, call) if follow else _lines_so_far(api, call):
        print(printable(line), flush=follow)
    sys.stdout.flush()
    return EXIT_DONE


def _follow(api: Api, call: Call) -> Iterator[str]:
    for event in api.follow(call):
        yield from event.data.split("\n")


def _lines_so_far(api: Api, call: Call) -> Iterator[str]:
    """Yield the lines; after a break, request them again and skip those that were yielded before."""
    patience, count = api.patience(), 0
    while True:
        try:
            for number, line in enumerate(_request_lines(api, call), start=1):
                if number > count:
                    count = number
                    patience.renew()
                    yield line
            return
        except ApiUnavailable as failure:
            patience.wait(failure)


def _request_lines(api: Api, call: Call) -> Iterator[str]:
    rest = b""
    with api.open(Call("GET", call.path, call.query, headers={"Accept": "text/plain"})) as response:
        for chunk in read_chunks(response):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
