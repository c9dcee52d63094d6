"""What the operator of an installation decides about the API: one YAML file."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from slipway.http.tokens import Role

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]
_UPLOAD = ("POST", "/v1/datasets")
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Limits(_Model):
    """How much one client may take.

    Attributes:
      body_bytes: Of a request's body, except an upload's.
      upload_bytes: Of an uploaded archive, and of what it unpacks to.
      requests_per_second: Of one user, on average; of one address, as far as its tokens are wrong.
      burst: How many may come at once.
      streams: Event streams open at a time, over all users.
    """

    body_bytes: Count = 1 << 20
    upload_bytes: Count = 20 << 30
    requests_per_second: Annotated[float, Field(gt=0)] = 50
    burst: Count = 200
    streams: Count = 200

    def bytes_of(self, method: str, path: str) -> int:
        """Return how long a request's body may be."""
        return self.upload_bytes if (method, path) == _UPLOAD else self.body_bytes


class Oidc(_Model):
    """Tokens of an identity provider, beside those of the file.

    Attributes:
      issuer: As the tokens' `iss` says it.
      audience: What the tokens' `aud` has to name.
      claim: Whose value, or each of whose values, is looked up in `roles`.
      roles: Value of the claim to role; the highest counts, and without one the token is refused.
      name_claim: What the user is called by.
      jwks_url: Where the provider's keys are; found from the issuer when absent.
    """

    issuer: Url
    audience: Annotated[str, Field(min_length=1)]
    claim: str = "groups"
    roles: dict[str, Role]
    name_claim: str = "sub"
    jwks_url: Url | None = None


class ApiSettings(_Model):
    """Everything about the API that is not a run's.

    Attributes:
      tokens: A YAML file: a list of name, role and sha256, the digest of a token.
      oidc: An identity provider whose tokens are taken too.
      public_store: Where clients reach the S3 server, for presigned addresses; the store's own endpoint when absent.
      presign_seconds: How long a presigned address is good.
      page_size: Items of a page, unless the request says how many.
      trusted_proxies: Addresses whose X-Forwarded-For is believed.
      shutdown_seconds: How long requests may take to end after SIGTERM.
    """

    tokens: Path = Path("/etc/slipway/tokens/tokens.yaml")
    oidc: Oidc | None = None
    limits: Limits = Limits()
    public_store: Url | None = None
    presign_seconds: Annotated[int, Field(ge=1, le=604_800)] = 900
    page_size: Annotated[int, Field(ge=1, le=500)] = 50
    trusted_proxies: list[str] = Field(default_factory=list)
    shutdown_seconds: Seconds = 20
