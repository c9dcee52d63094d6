"""Authentication of a request by its bearer token."""

from fastapi import Request
from fastapi.security import HTTPBearer

from slipway.http.limits import gate_of
from slipway.http.problems import Problem
from slipway.http.tokens import Tokens, User

BEARER = HTTPBearer(auto_error=False, description="A token of this installation.")
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def authenticate(request: Request, tokens: Tokens, secret: str | None) -> User:
    """Return the user of the token.

    Raises:
      Problem: 401 for an unknown or absent token; 429 when the user, or an address with wrong tokens, asks too often.
    """
    user = await tokens.user(secret) if secret else None
    gate = gate_of(request)
    if user is None:
        gate.count_refusal(request.client.host if request.client else "")
        reason = "the token is not known here, or has expired" if secret else "no token was given"
        raise Problem(401, f"{reason}; send Authorization: Bearer TOKEN", "unauthenticated", headers=_CHALLENGE)
    request.state.user = user
    gate.admit(user.name)
    return user
