"""Who sits at the browser: their token, in a cookie. No replica has to remember anything, and a token that is taken out
of the tokens file opens no page any more.

Why that is safe:

- The cookie is HttpOnly: no script reads it. Over https it is Secure, and its name begins with `__Host-`, so that no
  neighbour below the same domain can set another.
- It is SameSite=Strict: what another site makes a browser ask comes without it. Neighbours below the same domain are no
  other site to a browser, so a request that changes something also has to come from a page of this very origin.
- GET changes nothing, on any route.
"""

from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import Response

from slipway.http.problems import Problem

_DAY_SEC = 12 * 3600  # a working day; the token itself may end earlier
_SECURE, _PLAIN = "__Host-slipway", "slipway"
_READS = ("GET", "HEAD")


def secret_of(request: Request) -> str | None:
    """Return the token of the request's cookie. Raises `Problem` 403 where another origin's page wants a change."""
    kept = request.cookies.get(_SECURE)
    if kept is None and request.url.scheme == "http":
        kept = request.cookies.get(_PLAIN)
    if kept is None:
        return None
    if request.method not in _READS:
        check_origin(request)
    return unquote(kept)


def check_origin(request: Request) -> None:
    """See that a page of this origin sent the request. Raises `Problem` 403.

    Browsers say so by themselves, and let no page say otherwise; the first header is there over https and on localhost.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    is_own = site == "same-origin" if site else origin.partition("://")[2] == request.headers.get("host")
    if not is_own:
        said = "the request does not come from a page of this address; a proxy in front has to keep the Host header"
        raise Problem(403, said)


def keep(request: Request, answer: Response, secret: str) -> None:
    """Let the browser send the token from now on."""
    is_https = _is_https(request)
    name, value = _SECURE if is_https else _PLAIN, quote(secret, safe="")
    answer.set_cookie(name, value, max_age=_DAY_SEC, secure=is_https, httponly=True, samesite="strict")


def forget(answer: Response) -> None:
    answer.delete_cookie(_SECURE, secure=True, httponly=True, samesite="strict")
    answer.delete_cookie(_PLAIN, httponly=True, samesite="strict")


def _is_https(request: Request) -> bool:
    """Say whether the browser is on https, also where a proxy that nobody has called trusted ends TLS."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
