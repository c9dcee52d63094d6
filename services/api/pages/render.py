"""What all pages share: their look, their headers, and errors that a person can read.

Names of runs, datasets, files and labels come from strangers, and so do log lines. Every template escapes; log lines
are put in as text. The policy below takes scripts and styles from this server's own files only, loads nothing from
elsewhere, and lets no site frame a page. Reports and artifacts, which runs have written, are answered with a policy of
their own (`downloads`): in its sandbox they have no script, no cookie and no origin, or they are saved, not shown.
"""

import hashlib
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from slipway.http.problems import ERRORS, understood
from slipway.http.tokens import Role
from slipway.report.pages import score
from slipway.text import format_bytes, format_duration

_FOLDER = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with less, a form would not say from where it comes
    "Cache-Control": "no-store",  # who has logged out does not get it back
}
_FOREIGN = ("cross-site", "same-site")


class PageRoute(APIRoute):
    """A route whose errors are pages, and which asks who has no token to log in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await answer(request)
            except ERRORS as error:
                return _unhappy(request, understood(request, error))

        return shown


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Write a page."""
    user = getattr(request.state, "user", None)
    may_submit = user is not None and user.role.includes(Role.SUBMITTER)
    page = _environment().get_template(template)
    text = page.render(path=request.url.path, user=user, may_submit=may_submit, **values)
    # A file name that is no UTF-8 arrives with lone surrogates, which cannot be sent.
    return HTMLResponse(text.encode(errors="replace"), status, _HEADERS)


def _unhappy(request: Request, problem: HTTPException) -> Response:
    if problem.status_code == 401:
        return _to_login(request)
    page = render(request, "problem.html", problem.status_code, problem=problem, request_id=request.state.request_id)
    page.headers.update(problem.headers or {})
    return page


def _to_login(request: Request) -> Response:
    """Lead to the login, and from there back.

    Who follows a link on another site comes without the cookie. A page that leads on makes the next request this
    origin's own, with the cookie, which `/login` then finds to be good.
    """
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    login = f"/login?next={quote(wanted, safe='/')}" if request.method == "GET" else "/login"
    if request.headers.get("sec-fetch-site") in _FOREIGN:
        return render(request, "onward.html", login=login)
    return RedirectResponse(login, 303, {"Cache-Control": "no-store"})


@cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Return media type and content of what pages load; their style goes on where the reports' ends."""
    from slipway.report import pages as report

    own = (_FOLDER / "static" / "pages.css").read_bytes()
    shared = (Path(report.__file__).parent / "templates" / "style.css").read_bytes()
    return {
        "icon.svg": ("image/svg+xml", (_FOLDER / "static" / "icon.svg").read_bytes()),
        "pages.css": ("text/css; charset=utf-8", shared + own),
        "pages.js": ("text/javascript; charset=utf-8", (_FOLDER / "static" / "pages.js").read_bytes()),
    }


@cache
def _asset(name: str) -> str:
    """Return the address of a file, which is another one when its content is."""
    return f"/static/{name}?v={hashlib.sha256(static_files()[name][1]).hexdigest()[:8]}"


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([FileSystemLoader(_FOLDER / "templates"), PackageLoader("slipway.report")])
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"score": score, "duration": format_duration, "size": format_bytes, "count": lambda n: f"{n:,}"}
    pages.filters |= {"quoted": lambda text: quote(str(text), safe="/@")}
    pages.globals |= {"asset": _asset}
    return pages
