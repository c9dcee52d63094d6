"""The environment of an S3 client: endpoint, region and credentials."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from slipway.errors import SpecError

PATIENCE_SEC = 90.0  # for a store that does not answer; a stage has to outlast a minute without it
_AWS = "https://s3.amazonaws.com"


@dataclass(frozen=True)
class Keys:
    """Credentials that the environment holds: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class KeyFiles:
    """Credentials in files, read at every use, so that a mounted Secret may change.

    `SLIPWAY_S3_ACCESS_KEY_FILE` and `SLIPWAY_S3_SECRET_KEY_FILE`.
    """

    access_key: Path
    secret_key: Path


@dataclass(frozen=True)
class WebIdentity:
    """A token that the cluster renews, exchanged for credentials that expire.

    `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, and `SLIPWAY_S3_STS_ENDPOINT`, which is the store's own address, or
    Amazon's, unless given.
    """

    token: Path
    role: str | None
    endpoint: str


@dataclass(frozen=True)
class S3Settings:
    """Address and credentials of the S3 server; a `repr` shows no secret.

    Attributes:
      endpoint: `SLIPWAY_S3_ENDPOINT`: `http(s)://host[:port]`; Amazon's unless given.
      region: `SLIPWAY_S3_REGION`, or `AWS_REGION`; the server is asked for the bucket's when neither is given.
      style: `SLIPWAY_S3_STYLE`: whether the bucket is in the `path` or in the host's name (`virtual`); `auto` is
        virtual where the server is known to require it.
      ca_file: `SLIPWAY_S3_CA_FILE`: the certificates that are trusted, instead of the public ones.
    """

    endpoint: str
    credentials: Keys | KeyFiles | WebIdentity
    region: str | None = None
    style: str = "auto"
    ca_file: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "S3Settings":
        """Read the environment.

        Raises:
          SpecError: A variable is not what it should be, or there are no credentials.
        """
        endpoint = _endpoint(environment, "SLIPWAY_S3_ENDPOINT", _AWS)
        region = environment.get("SLIPWAY_S3_REGION") or environment.get("AWS_REGION") or None
        style = environment.get("SLIPWAY_S3_STYLE") or "auto"
        if style not in ("path", "virtual", "auto"):
            raise SpecError(f"SLIPWAY_S3_STYLE is {style!r}, expected path, virtual or auto")
        ca_file = _file(environment, "SLIPWAY_S3_CA_FILE")
        return cls(endpoint, _credentials(environment, endpoint, region), region, style, ca_file)


def _credentials(environment: Mapping[str, str], endpoint: str, region: str | None) -> Keys | KeyFiles | WebIdentity:
    files = [_file(environment, f"SLIPWAY_S3_{part}_KEY_FILE") for part in ("ACCESS", "SECRET")]
    if files[0] and files[1]:
        return KeyFiles(files[0], files[1])
    keys = [environment.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    if keys[0] and keys[1]:
        return Keys(keys[0], keys[1], environment.get("AWS_SESSION_TOKEN") or None)
    token = _file(environment, "AWS_WEB_IDENTITY_TOKEN_FILE")
    if token and not any(files) and not any(keys):
        amazons = f"https://sts.{region}.amazonaws.com" if region else "https://sts.amazonaws.com"
        default = amazons if endpoint.endswith(".amazonaws.com") else endpoint
        sts = _endpoint(environment, "SLIPWAY_S3_STS_ENDPOINT", default)
        return WebIdentity(token, environment.get("AWS_ROLE_ARN"), sts)
    raise SpecError(
        "an s3:// store needs both keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "SLIPWAY_S3_ACCESS_KEY_FILE and SLIPWAY_S3_SECRET_KEY_FILE, or AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"
    )


def _endpoint(environment: Mapping[str, str], name: str, default: str) -> str:
    url = urlsplit(environment.get(name) or default)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
        raise SpecError(f"{name} is not the address of a server; expected http(s)://host or http(s)://host:port")
    if "@" in url.netloc:
        raise SpecError(f"{name} holds a user or a password; give the keys in their own variables")
    return f"{url.scheme}://{url.netloc}"


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    if not environment.get(name):
        return None
    path = Path(environment[name])
    if not os.access(path, os.R_OK):
        raise SpecError(f"{name}: {path} is not there, or cannot be read; mount it, or correct the variable")
    return path
