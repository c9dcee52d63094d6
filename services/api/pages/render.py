"""Rendering of all pages: templates, headers, static files, and errors as pages.

Names of runs, datasets, files and labels are untrusted, and so are log lines. Every template escapes them, and the
script inserts log lines as text. The policy below allows scripts and styles from this server's own files only, loads
nothing from other sites, and lets no site frame a page. Reports and artifacts, which runs have written, have a stricter
policy (`downloads`): a sandbox without script, cookie or origin, or a download instead of a page.
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

from slipway.http.problems import ERRORS, as_problem
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
    "Referrer-Policy": "same-origin",  # with a stricter one, forms would be sent without their origin
    "Cache-Control": "no-store",  # the back button must not show a page after the logout
}
_FOREIGN_SITES = ("cross-site", "same-site")


class PageRoute(APIRoute):
    """A route whose errors are pages; without a valid token it leads to the login page."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_with_page(request: Request) -> Response:
            try:
                return await answer(request)
            except ERRORS as error:
                return _error_page(request, as_problem(request, error))

        return answer_with_page


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page from its template and values."""
    user = getattr(request.state, "user", None)
    may_submit = user is not None and user.role.includes(Role.SUBMITTER)
    page = _environment().get_template(template)
    text = page.render(path=request.url.path, user=user, may_submit=may_submit, **values)
    # A file name that is not UTF-8 has lone surrogates, which cannot be encoded.
    return HTMLResponse(text.encode(errors="replace"), status, _HEADERS)


def _error_page(request: Request, problem: HTTPException) -> Response:
    if problem.status_code == 401:
        return _login_redirect(request)
    page = render(request, "problem.html", problem.status_code, problem=problem, request_id=request.state.request_id)
    page.headers.update(problem.headers or {})
    return page


def _login_redirect(request: Request) -> Response:
    """Redirect to the login page, with the way back.

    A link on another site is followed without the cookie. An intermediate page makes the next request a same-origin
    one, with the cookie; if it is valid, `/login` redirects back at once.
    """
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    login = f"/login?next={quote(address, safe='/')}" if request.method == "GET" else "/login"
    if request.headers.get("sec-fetch-site") in _FOREIGN_SITES:
        return render(request, "onward.html", login=login)
    return RedirectResponse(login, 303, {"Cache-Control": "no-store"})


@cache
def static_files() -> dict[str, tuple[str, bytes]]:
    """Return media type and content of the files that pages load; their style sheet extends that of reports."""
    from slipway.report import pages as report

    page_style = (_FOLDER / "static" / "pages.css").read_bytes()
    report_style = (Path(report.__file__).parent / "templates" / "style.css").read_bytes()
    return {
        "icon.svg": ("image/svg+xml", (_FOLDER / "static" / "icon.svg").read_bytes()),
        "pages.css": ("text/css; charset=utf-8", report_style + page_style),
        "pages.js": ("text/javascript; charset=utf-8", (_FOLDER / "static" / "pages.js").read_bytes()),
    }


@cache
def _asset(name: str) -> str:
    """Return the address of a static file, which changes with its content."""
    return f"/static/{name}?v={hashlib.sha256(static_files()[name][1]).hexdigest()[:8]}"


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([FileSystemLoader(_FOLDER / "templates"), PackageLoader("slipway.report")])
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"score": score, "duration": format_duration, "size": format_bytes, "count": lambda n: f"{n:,}"}
    pages.filters |= {"quoted": lambda text: quote(str(text), safe="/@")}
    pages.globals |= {"asset": _asset}
    return pages
