"""What the operator of an installation decides about the detector's server: one YAML file."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from slipway.run.names import Name

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Limits(_Model):
    """How much clients may take.

    Attributes:
      body_bytes: Of a request's body.
      body_seconds: Until the body of a request is there.
      pixels: Width times height of an image; one that is decoded and normalized takes 30 bytes a pixel and more.
      at_once: Images that are worked on at a time.
      waiting: Requests for predictions that wait for their turn, their model or their body.
      requests_per_second: Of one user, on average; of one address, as far as its tokens are wrong.
      burst: How many may come at once.
    """

    body_bytes: Count = 20 << 20
    body_seconds: Seconds = 30
    pixels: Count = 25_000_000
    at_once: Count = 2
    waiting: Annotated[int, Field(ge=0)] = 32
    requests_per_second: Annotated[float, Field(gt=0)] = 50
    burst: Count = 200

    def bytes_of(self, _method: str, _path: str) -> int:
        """Return how long a request's body may be."""
        return self.body_bytes


class DetectorSettings(_Model):
    """Everything about the server that is not a model's.

    Attributes:
      tokens: A YAML file: a list of name, role and sha256, the digest of a token.
      models: Runs whose exports are loaded at the start; it is not ready before.
      kept_models: Models in memory; the one that was asked for longest ago makes room for another.
      trusted_proxies: Addresses whose X-Forwarded-For is believed.
      shutdown_seconds: How long requests may take to end after SIGTERM.
    """

    tokens: Path = Path("/etc/slipway/tokens/tokens.yaml")
    models: list[Name] = Field(default_factory=list)
    kept_models: Count = 4
    limits: Limits = Limits()
    trusted_proxies: list[str] = Field(default_factory=list)
    shutdown_seconds: Seconds = 20

    @model_validator(mode="after")
    def _models_are_kept(self) -> "DetectorSettings":
        if len(self.models) > self.kept_models:
            raise ValueError(
                f"models lists {len(self.models)}, keptModels keeps {self.kept_models}; raise it, or list fewer"
            )
        return self
