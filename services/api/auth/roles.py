"""Who may do what: a bearer token, or a browser's cookie, whose it is, and what a route asks for."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials

from slipway.http.auth import BEARER, authenticate
from slipway.http.problems import Problem
from slipway.http.tokens import Role, User

from services.api.auth.audit import Note, tell
from services.api.auth.sessions import secret_of
from services.api.context import desk_of


def require(role: Role) -> Callable[..., Coroutine[Any, Any, User]]:
    """Return a dependency that gives the user, if their role includes `role`."""

    async def permitted(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> User:
        secret = credentials.credentials if credentials else secret_of(request)
        user = await authenticate(request, desk_of(request).tokens, secret)
        if not user.role.includes(role):
            route = request.scope["route"].path
            tell(request, user, f"{request.method} {route}", Note(request.url.path, "role-too-low"))
            raise Problem(403, f"{user.name} is {user.role}; this needs {role}", "role-too-low")
        return user

    return permitted


Viewer = Annotated[User, Depends(require(Role.VIEWER))]
Submitter = Annotated[User, Depends(require(Role.SUBMITTER))]
Admin = Annotated[User, Depends(require(Role.ADMIN))]
