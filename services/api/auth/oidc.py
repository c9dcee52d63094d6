"""Tokens of an identity provider (OpenID Connect)."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterable
from typing import Any

import jwt

from slipway.events import event
from slipway.http.tokens import Role, User

from services.api.settings import Oidc

_ALGORITHMS = ["RS256", "ES256"]  # fixed here, whatever a token says of itself
_LEEWAY_SEC = 30
_TIMEOUT_SEC = 5
_KEPT_SEC = 600  # how long the provider's keys are; one that is unknown is asked for sooner, twice a minute at most


class OidcTokens:
    """A token is good when the provider signed it, for us, and it has not expired."""

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: jwt.PyJWKClient | None = None

    async def user(self, secret: str) -> User | None:
        if secret.count(".") != 2:
            return None
        return await asyncio.to_thread(self._user, secret)  # the provider's keys may have to be fetched

    def _user(self, secret: str) -> User | None:
        try:
            claims = self._claims(secret)
        except (jwt.PyJWTError, OSError, ValueError, KeyError) as error:
            event("token_refused", reason=type(error).__name__)
            return None
        role = highest(self._settings.roles, claims.get(self._settings.claim))
        return User(str(claims[self._settings.name_claim]), role) if role else None

    def _claims(self, secret: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            secret,
            self._keys().get_signing_key_from_jwt(secret),
            algorithms=_ALGORITHMS,
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=_LEEWAY_SEC,
            options={"require": ["exp", "iss", "aud", self._settings.name_claim]},
        )
        return claims

    def _keys(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._client is None:
                url = self._settings.jwks_url or _found(self._settings.issuer)
                self._client = jwt.PyJWKClient(url, lifespan=_KEPT_SEC, timeout=_TIMEOUT_SEC)
            return self._client


def _found(issuer: str) -> str:
    """Ask the provider where its keys are."""
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SEC) as response:  # noqa: S310 (settings allow http only)
        told = json.load(response)
    if told["issuer"] != issuer:
        raise ValueError(f"{address} speaks for {told['issuer']}, not for {issuer}")
    return str(told["jwks_uri"])


def highest(roles: dict[str, Role], claimed: Any) -> Role | None:
    """Return the highest role of the claim's value, or of its values."""
    values: Iterable[Any] = claimed if isinstance(claimed, list) else [claimed]
    found = [roles[value] for value in values if isinstance(value, str) and value in roles]
    return max(found, key=list(Role).index, default=None)
