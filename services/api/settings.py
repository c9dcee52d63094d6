"""The API's settings: one YAML file, written by the operator of an installation."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from slipway.http.tokens import Role
from slipway.models import StrictModel
from slipway.weights.download import MAX_BYTES

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]
_UPLOAD = ("POST", "/v1/datasets")
_WEIGHTS = ("POST", "/v1/weights")
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class Limits(StrictModel):
    """Limits on the requests of one client.

    Attributes:
      body_bytes: Longest body of a request, other than an upload.
      upload_bytes: Longest archive of an upload, and most bytes that it may unpack to; of weights, at most 4 GiB.
      requests_per_second: Average rate of one user; of one address, counting only requests with a wrong token.
      burst: Requests that may come at once.
      streams: Event streams open at a time, over all users.
    """

    body_bytes: Count = 1 << 20
    upload_bytes: Count = 20 << 30
    requests_per_second: Annotated[float, Field(gt=0)] = 50
    burst: Count = 200
    streams: Count = 200

    def bytes_of(self, method: str, path: str) -> int:
        """Return the longest body that a request may have."""
        if (method, path) == _WEIGHTS:
            return min(self.upload_bytes, MAX_BYTES)
        return self.upload_bytes if (method, path) == _UPLOAD else self.body_bytes


class Oidc(StrictModel):
    """An identity provider whose tokens are accepted beside those of the file.

    Attributes:
      issuer: The value of the tokens' `iss`.
      audience: A value that the tokens' `aud` must have.
      claim: The claim whose value, or each of whose values, is looked up in `roles`.
      roles: Value of the claim to role; the highest role counts, and a token without any is refused.
      name_claim: The claim that holds the user's name.
      jwks_url: Address of the provider's keys; discovered from the issuer when absent.
    """

    issuer: Url
    audience: Annotated[str, Field(min_length=1)]
    claim: str = "groups"
    roles: dict[str, Role]
    name_claim: str = "sub"
    jwks_url: Url | None = None


class ApiSettings(StrictModel):
    """The settings of the API; those of a run are in its `RunSpec`.

    Attributes:
      tokens: A YAML file: a list of name, role and sha256, the digest of a token.
      oidc: An identity provider whose tokens are accepted too.
      public_store: Address of the S3 server for clients, in presigned addresses; the store's own endpoint when absent.
      presign_seconds: Lifetime of a presigned address.
      page_size: Items of a page, unless the request has a `limit`.
      trusted_proxies: Addresses whose X-Forwarded-For is trusted.
      shutdown_seconds: Time that open requests have to end after SIGTERM.
    """

    tokens: Path = Path("/etc/slipway/tokens/tokens.yaml")
    oidc: Oidc | None = None
    limits: Limits = Limits()
    public_store: Url | None = None
    presign_seconds: Annotated[int, Field(ge=1, le=604_800)] = 900
    page_size: Annotated[int, Field(ge=1, le=500)] = 50
    trusted_proxies: list[str] = Field(default_factory=list)
    shutdown_seconds: Seconds = 20
