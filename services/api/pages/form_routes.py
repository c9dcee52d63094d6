"""`/login`, `/logout`, `/submit`, and the buttons of a run's page."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from slipway.errors import InputError
from slipway.http.auth import authenticate
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, as_problem
from slipway.http.tokens import User

from services.api.auth import sessions
from services.api.auth.audit import audit
from services.api.auth.roles import Admin, Submitter
from services.api.context import ContextDep
from services.api.pages.form_fields import run_file
from services.api.pages.render import PageRoute, render
from services.api.pages.submit_form import build_form
from services.api.parameters import RunsDep
from services.api.runs.actions import Action
from services.api.runs.listing import Runs
from services.api.runs.routes import change, delete
from services.api.runs.run_object import RunObject
from services.api.runs.submit import parse_request, prepare, submit

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")  # a path, but not the address of another site
_Next = Annotated[str, Form(alias="next", max_length=2000)]


@router.get("/login")
async def show_login(
    request: Request, context: ContextDep, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    """Show the login form; a user who is logged in is redirected to `next`."""
    secret = sessions.token_of_cookie(request)
    if secret is not None:
        try:
            await authenticate(request, context.tokens, secret)
        except Problem as problem:
            if problem.status_code != 401:
                raise
        else:
            return _redirect(next)
    return render(request, "login.html", next=next, error=None)


@router.post("/login")
async def log_in(
    request: Request, context: ContextDep, token: Annotated[str, Form(max_length=8000)] = "", next: _Next = "/"
) -> Response:
    sessions.check_origin(request)
    try:
        await authenticate(request, context.tokens, token.strip())
    except Problem as problem:
        if problem.status_code != 401:
            raise
        message = "This token is not known here, or has expired." if token else "Give a token."
        return render(request, "login.html", 401, next=next, error=message)
    answer = _redirect(next)
    sessions.set_cookie(request, answer, token.strip())
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    sessions.check_origin(request)
    answer = _redirect("/login")
    sessions.delete_cookies(answer)
    return answer


@router.get("/submit")
def show_submit(request: Request, _: Submitter, runs: RunsDep) -> Response:
    """Show the form; `dataset=NAME@SHA` fills in the dataset."""
    ref = request.query_params.get("dataset", "")
    form = build_form(runs, {"/spec/dataset/ref": ref})
    return render(request, "submit.html", form=form, has_input=bool(ref))


@router.post("/submit")
async def send_run(request: Request, user: Submitter, runs: RunsDep) -> Response:
    """Submit the run of the form; if it has an error, show the form again with the input and the error."""
    values = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        run = await _submit(request, user, runs, values)
    except (Problem, InputError) as error:
        problem = as_problem(request, error)
        form = await run_in_threadpool(build_form, runs, values, problem)
        return render(request, "submit.html", problem.status_code, form=form, has_input=True)
    return _redirect(f"/runs/{run.name}")


async def _submit(request: Request, user: User, runs: Runs, values: dict[str, str]) -> RunObject:
    with audit(request, "run.create", values.get("/metadata/name", "")) as record:
        submission = prepare(parse_request(run_file(values)), user, values.get("key") or None)
        record.target = submission.name
        run, is_new = await run_in_threadpool(submit, submission, runs.cluster, runs.store)
        record.outcome = "done" if is_new else "unchanged"
    return run


@router.post("/runs/{run}/delete")
def delete_run(request: Request, _: Admin, runs: RunsDep, run: RunName) -> Response:
    """Delete a run's object; its page stays, with everything that the store has."""
    delete(request, runs, run)
    return _redirect("/")


@router.post("/runs/{run}/{action}")
def change_run(request: Request, _: Submitter, runs: RunsDep, run: RunName, action: Action) -> Response:
    """Carry out the action of a button."""
    change(request, runs, run, action)
    return _redirect(f"/runs/{run}")


def _redirect(path: str) -> RedirectResponse:
    return RedirectResponse(path if _LOCAL_PATH.fullmatch(path) else "/", 303, {"Cache-Control": "no-store"})
