"""Tokens of an identity provider (OpenID Connect)."""

import asyncio
import threading
import urllib.request
from collections.abc import Iterable
from typing import Any

import jwt
from pydantic import BaseModel

from slipway.events import event
from slipway.http.tokens import Role, User

from services.api.settings import Oidc

_ALGORITHMS = ["RS256", "ES256"]  # fixed here: a token must not choose its own
_LEEWAY_SEC = 30
_TIMEOUT_SEC = 5
_KEYS_LIFESPAN_SEC = 600  # an unknown key is fetched sooner, at most twice a minute


class _ProviderConfiguration(BaseModel):
    """The fields that are needed of OpenID Connect Discovery's document."""

    issuer: str
    jwks_uri: str


class OidcTokens:
    """Accepts tokens that the provider signed for this audience and that have not expired."""

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: jwt.PyJWKClient | None = None

    async def user(self, secret: str) -> User | None:
        if secret.count(".") != 2:
            return None
        return await asyncio.to_thread(self._user, secret)  # it may have to fetch the provider's keys

    def _user(self, secret: str) -> User | None:
        try:
            claims = self._claims(secret)
        except (jwt.PyJWTError, OSError, ValueError, KeyError) as error:
            event("token_refused", reason=type(error).__name__)
            return None
        role = highest_role(self._settings.roles, claims.get(self._settings.claim))
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
                url = self._settings.jwks_url or _discover_keys_url(self._settings.issuer)
                self._client = jwt.PyJWKClient(url, lifespan=_KEYS_LIFESPAN_SEC, timeout=_TIMEOUT_SEC)
            return self._client


def _discover_keys_url(issuer: str) -> str:
    """Read the address of the provider's keys from its configuration."""
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SEC) as response:  # noqa: S310 (settings allow http only)
        configuration = _ProviderConfiguration.model_validate_json(response.read())
    if configuration.issuer != issuer:
        raise ValueError(f"{address} is the configuration of {configuration.issuer}, not of {issuer}")
    return configuration.jwks_uri


def highest_role(roles: dict[str, Role], claim: Any) -> Role | None:
    """Return the highest role of the claim's value, or of its values; None when no value has a role."""
    values: Iterable[Any] = claim if isinstance(claim, list) else [claim]
    granted_roles = [roles[value] for value in values if isinstance(value, str) and value in roles]
    return max(granted_roles, key=list(Role).index, default=None)
