"""Who may do what: a bearer token, whose it is, and what a route asks for."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.api.audit import Note, tell
from services.api.desk import desk_of
from services.api.limits import gate_of
from services.api.problems import Problem
from services.api.tokens import Role, User

_BEARER = HTTPBearer(auto_error=False, description="A token of the tokens file, or of the identity provider.")
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def require(role: Role) -> Callable[..., Coroutine[Any, Any, User]]:
    """Return a dependency that gives the user, if their role includes `role`."""

    async def permitted(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> User:
        user = await authenticate(request, credentials.credentials if credentials else None)
        if not user.role.includes(role):
            route = request.scope["route"].path
            tell(request, user, f"{request.method} {route}", Note(request.url.path, "role-too-low"))
            raise Problem(403, f"{user.name} is {user.role}; this needs {role}", "role-too-low")
        return user

    return permitted


async def authenticate(request: Request, secret: str | None) -> User:
    """Return whose token it is.

    Raises:
      Problem: 401 where it is nobody's or absent, 429 where its user, or an address with wrong tokens, asks too often.
    """
    user = await desk_of(request).tokens.user(secret) if secret else None
    gate = gate_of(request)
    if user is None:
        gate.refused(request.client.host if request.client else "")
        said = "the token is not known here, or has expired" if secret else "no token was given"
        raise Problem(401, f"{said}; send Authorization: Bearer TOKEN", "unauthenticated", headers=_CHALLENGE)
    request.state.user = user
    gate.admit(user.name)
    return user


Viewer = Annotated[User, Depends(require(Role.VIEWER))]
Submitter = Annotated[User, Depends(require(Role.SUBMITTER))]
Admin = Annotated[User, Depends(require(Role.ADMIN))]
