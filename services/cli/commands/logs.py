"""What a run's stages logged: what is kept so far, or with every new line as it comes."""

import sys
from collections.abc import Iterator

from slipway.errors import EXIT_DONE

from services.cli.remote.client import Api, Call, pieces, run_path
from services.cli.remote.credentials import api
from services.cli.remote.errors import ApiUnavailable, plain


def logs(run: str, stage: str | None, follow: bool) -> int:
    """Print a run's log, oldest line first."""
    call = Call("GET", run_path(run, "/logs"), {"stage": stage, "follow": "true" if follow else None})
    there = api()
    for line in _followed(there, call) if follow else _kept(there, call):
        print(plain(line), flush=follow)
    sys.stdout.flush()
    return EXIT_DONE


def _followed(there: Api, call: Call) -> Iterator[str]:
    for event in there.follow(call):
        yield from event.data.split("\n")


def _kept(there: Api, call: Call) -> Iterator[str]:
    """Yield the lines; after a break it is asked anew, and what was said already is passed over."""
    patience, said = there.patience(), 0
    while True:
        try:
            for number, line in enumerate(_lines(there, call), start=1):
                if number > said:
                    said = number
                    patience.renew()
                    yield line
            return
        except ApiUnavailable as failure:
            patience.wait(failure)


def _lines(there: Api, call: Call) -> Iterator[str]:
    rest = b""
    with there.open(Call("GET", call.path, call.query, headers={"Accept": "text/plain"})) as response:
        for piece in pieces(response):
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
