"""Bearer tokens and their users: a file of digests."""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from slipway.errors import SpecError
from slipway.events import event
from slipway.run.names import Sha256


class Role(StrEnum):
    """Rights of a user; each role includes those before it."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class User:
    """The user of a request."""

    name: str
    role: Role


class Tokens(Protocol):
    """A source of tokens."""

    async def user(self, secret: str) -> User | None:
        """Return the user of the token, or None when it is unknown."""


class Token(BaseModel):
    """One entry of the file, which holds no token but its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=253)]
    role: Role
    sha256: Sha256


_ENTRIES = TypeAdapter(list[Token])


class TokenFile:
    """The tokens of a YAML file, which is read again when it changes: a mounted Secret may be rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_at = _written_at(path)
        self._tokens = read_tokens(path)

    async def user(self, secret: str) -> User | None:
        self._refresh()
        return find_user(self._tokens, secret)

    def _refresh(self) -> None:
        written_at = _written_at(self._path)
        if written_at == self._written_at:
            return
        self._written_at = written_at
        try:
            self._tokens = read_tokens(self._path)
            event("tokens_read", tokens=len(self._tokens))
        except SpecError as error:  # known tokens stay valid: a mistake in the file must not lock everybody out
            event("tokens_unreadable", logging.ERROR, reason=str(error))


def _written_at(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class TokenSources:
    """Several sources of tokens, asked in order."""

    def __init__(self, sources: Sequence[Tokens]) -> None:
        self._sources = sources

    async def user(self, secret: str) -> User | None:
        for source in self._sources:
            if user := await source.user(secret):
                return user
        return None


def find_user(tokens: Sequence[Token], secret: str) -> User | None:
    """Return the user of the token, in a time that does not depend on the match."""
    digest = hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
    matches = [token for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return User(matches[0].name, matches[0].role) if matches else None


def read_tokens(path: Path) -> list[Token]:
    """Read the file.

    Raises:
      SpecError: It cannot be read, is not YAML, or an entry is wrong; no entry is quoted.
    """
    try:
        tokens = _ENTRIES.validate_python(yaml.safe_load(path.read_text()) or [])
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}; mount the tokens there, or name their file") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: not YAML; expected a list of name, role and sha256") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise SpecError(f"{path}: {wrong}") from None  # the wrong value might be a token, so it is not shown
    if len({token.sha256 for token in tokens}) != len(tokens):
        raise SpecError(f"{path}: two entries have the same sha256; give everybody a token of their own")
    return tokens
