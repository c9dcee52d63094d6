"""Roles of users, as dependencies of routes: the user comes from a bearer token or from a browser's cookie."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials

from slipway.http.auth import BEARER, authenticate
from slipway.http.problems import Problem
from slipway.http.tokens import Role, User

from services.api.auth.audit import AuditRecord, log_change
from services.api.auth.sessions import token_of_cookie
from services.api.context import context_of


def require(role: Role) -> Callable[..., Coroutine[Any, Any, User]]:
    """Return a dependency that yields the user, and refuses one whose role does not include `role`."""

    async def check_role(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> User:
        secret = credentials.credentials if credentials else token_of_cookie(request)
        user = await authenticate(request, context_of(request).tokens, secret)
        if not user.role.includes(role):
            action = f"{request.method} {request.scope['route'].path}"
            log_change(request, user, action, AuditRecord(request.url.path, "role-too-low"))
            raise Problem(403, f"{user.name} is {user.role}; this needs {role}", "role-too-low")
        return user

    return check_role


Viewer = Annotated[User, Depends(require(Role.VIEWER))]
Submitter = Annotated[User, Depends(require(Role.SUBMITTER))]
Admin = Annotated[User, Depends(require(Role.ADMIN))]
