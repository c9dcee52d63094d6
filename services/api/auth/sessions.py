"""Browser sessions: the user's token, in a cookie.

No replica has to remember a session, and a token that is removed from the tokens file opens no page any more.

Why that is safe:

- The cookie is HttpOnly: no script reads it. Over https it is Secure, and its name begins with `__Host-`, so that no
  neighbour below the same domain can set another.
- It is SameSite=Strict: a request that another site causes comes without it. To a browser, neighbours below the same
  domain are not another site, so a request that changes something also has to come from a page of this very origin.
- GET changes nothing, on any route.
"""

from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import Response

from slipway.http.problems import Problem

_MAX_AGE_SEC = 12 * 3600  # a working day; the token itself may expire earlier
_SECURE_NAME, _PLAIN_NAME = "__Host-slipway", "slipway"
_SAFE_METHODS = ("GET", "HEAD")


def token_of_cookie(request: Request) -> str | None:
    """Return the token in the request's cookie. Raises `Problem` 403 when another origin's page asks for a change."""
    cookie = request.cookies.get(_SECURE_NAME)
    if cookie is None and request.url.scheme == "http":
        cookie = request.cookies.get(_PLAIN_NAME)
    if cookie is None:
        return None
    if request.method not in _SAFE_METHODS:
        check_origin(request)
    return unquote(cookie)


def check_origin(request: Request) -> None:
    """Check that a page of this origin sent the request. Raises `Problem` 403.

    Browsers set both headers themselves, and no page can change them; Sec-Fetch-Site is sent over https and to
    localhost only.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    is_same_origin = site == "same-origin" if site else origin.partition("://")[2] == request.headers.get("host")
    if not is_same_origin:
        raise Problem(
            403, "the request does not come from a page of this address; a proxy in front has to keep the Host header"
        )


def set_cookie(request: Request, answer: Response, secret: str) -> None:
    """Make the browser send the token from now on."""
    is_https = _is_https(request)
    name, value = _SECURE_NAME if is_https else _PLAIN_NAME, quote(secret, safe="")
    answer.set_cookie(name, value, max_age=_MAX_AGE_SEC, secure=is_https, httponly=True, samesite="strict")


def delete_cookies(answer: Response) -> None:
    answer.delete_cookie(_SECURE_NAME, secure=True, httponly=True, samesite="strict")
    answer.delete_cookie(_PLAIN_NAME, httponly=True, samesite="strict")


def _is_https(request: Request) -> bool:
    """Check whether the browser uses https, also when a proxy that is not listed as trusted ends TLS."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
