"""`slipway cancel`, `suspend`, `resume` and `retry`: requests to a run of an installation."""

from http import HTTPStatus

from slipway.errors import EXIT_DONE

from services.cli.remote.answers import Run
from services.cli.remote.client import Api, Call, run_path
from services.cli.remote.credentials import connect
from services.cli.remote.errors import ApiRefused
from services.cli.remote.run_events import get_run
from services.cli.screen.console import print_json


def act(name: str, verb: str, as_json: bool) -> int:
    """Request that a run be canceled, suspended, resumed or retried."""
    run = _act(connect(), name, verb)
    if as_json:
        print_json(run.json_content)
    else:
        print(f"run {name}: {verb} is asked for; it is {run.state}")
    return EXIT_DONE


def _act(api: Api, name: str, verb: str) -> Run:
    """Send the request and return the run.

    After a break a retry is sent a second time. The server refuses that one with a conflict; the run's attempt shows
    that it accepted the first.
    """
    attempt = get_run(api, name).spec.attempt
    try:
        return api.answer(Run, Call("POST", run_path(name, f":{verb}")))
    except ApiRefused as error:
        if verb != "retry" or error.status != HTTPStatus.CONFLICT:
            raise
        run = get_run(api, name)
        if run.spec.attempt == attempt:
            raise
        return run
