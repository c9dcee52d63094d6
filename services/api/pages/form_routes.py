"""`/login`, `/logout`, `/submit`, and what the buttons of a run's page do."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from slipway.errors import InputError
from slipway.http.auth import authenticate
from slipway.http.parameters import RunName
from slipway.http.problems import Problem, understood
from slipway.http.tokens import User
from slipway.kube.objects import KubernetesObject

from services.api.auth import sessions
from services.api.auth.audit import audit
from services.api.auth.roles import Admin, Submitter
from services.api.context import ApiContext, ContextDep
from services.api.pages import submit_form as pages_form
from services.api.pages.render import PageRoute, render
from services.api.parameters import RunsDep
from services.api.runs.actions import Action, act
from services.api.runs.listing import Runs
from services.api.runs.routes import remove
from services.api.runs.submit import asked, parse, submit

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_HERE = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")  # a path of ours: no other site's address
_Next = Annotated[str, Form(alias="next", max_length=2000)]


@router.get("/login")
async def show_login(
    request: Request, context: ContextDep, next: Annotated[str, Query(max_length=2000)] = "/"
) -> Response:
    """Ask for a token; who has given a good one is led on."""
    kept = sessions.token_of_cookie(request)
    if kept is not None:
        try:
            await authenticate(request, context.tokens, kept)
        except Problem as problem:
            if problem.status_code != 401:
                raise
        else:
            return _see(next)
    return render(request, "login.html", next=next, wrong=None)


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
        wrong = "This token is not known here, or has expired." if token else "Give a token."
        return render(request, "login.html", 401, next=next, wrong=wrong)
    answer = _see(next)
    sessions.set_cookie(request, answer, token.strip())
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    sessions.check_origin(request)
    answer = _see("/login")
    sessions.delete_cookies(answer)
    return answer


@router.get("/submit")
def show_submit(request: Request, _: Submitter, context: ContextDep) -> Response:
    """Show the form; `dataset=NAME@SHA` fills in the dataset."""
    ref = request.query_params.get("dataset", "")
    form = pages_form.form(context.store, {"/spec/dataset/ref": ref})
    return render(request, "submit.html", form=form, is_given=bool(ref))


@router.post("/submit")
async def send_run(request: Request, user: Submitter, context: ContextDep, runs: RunsDep) -> Response:
    """Submit what was typed; where something is wrong with it, show it again, with what is wrong."""
    given = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        made = await _submitted(request, user, (context, runs), given)
    except (Problem, InputError) as error:
        problem = understood(request, error)
        form = await run_in_threadpool(pages_form.form, context.store, given, problem)
        return render(request, "submit.html", problem.status_code, form=form, is_given=True)
    return _see(f"/runs/{made['metadata']['name']}")


async def _submitted(
    request: Request, user: User, at: tuple[ApiContext, Runs], given: dict[str, str]
) -> KubernetesObject:
    context, runs = at
    with audit(request, "run.create", given.get("/metadata/name", "")) as record:
        run = asked(parse(pages_form.body(given)), user, given.get("key") or None)
        record.target = run.run.metadata.name
        made, is_new = await run_in_threadpool(submit, run, runs.cluster, context.store)
        record.outcome = "done" if is_new else "unchanged"
    return made


@router.post("/runs/{run}/delete")
def delete_run(request: Request, _: Admin, runs: RunsDep, run: RunName) -> Response:
    """Delete a run's object; its page stays, as far as the store has it."""
    remove(request, runs, run)
    return _see("/")


@router.post("/runs/{run}/{action}")
def change_run(request: Request, _: Submitter, runs: RunsDep, run: RunName, action: Action) -> Response:
    """Do what a button says."""
    with audit(request, f"run.{action}", run) as record:
        record.outcome = "done" if act(run, action, None, runs)[1] else "unchanged"
    return _see(f"/runs/{run}")


def _see(path: str) -> RedirectResponse:
    return RedirectResponse(path if _HERE.fullmatch(path) else "/", 303, {"Cache-Control": "no-store"})
