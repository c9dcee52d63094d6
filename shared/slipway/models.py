"""The base models: of requests and settings, of HTTP answers, and of the documents that stages exchange."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from slipway.errors import BrokenDocument

_MOST_FAULTS = 5  # in a message: they are enough to see which version wrote it

M = TypeVar("M", bound=BaseModel)


class StrictModel(BaseModel):
    """A request, a run file or settings: camelCase, and an unknown field is an error, since it may be misspelled."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class AnswerModel(BaseModel):
    """The body of an HTTP answer: camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ArtifactModel(BaseModel):
    """A JSON document in the store, or a part of one: snake_case.

    Unknown fields are ignored, so that a document of a newer version can be read. (That is pydantic's default, which is
    not repeated here because a `RootModel` accepts no `extra`.) A field that an older version did not write has a
    default. Only fields that were set are written.
    """

    model_config = ConfigDict(frozen=True)

    def content(self) -> Any:
        """Return what `json.dumps` takes."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def encode(self) -> bytes:
        """Return the bytes that are stored: equal documents give equal bytes."""
        return json.dumps(self.content(), indent=1).encode() + b"\n"

    def encode_line(self) -> bytes:
        """Return the document as one line of a `.jsonl` key."""
        return json.dumps(self.content()).encode() + b"\n"


class CamelArtifactModel(ArtifactModel):
    """A JSON document in the store that Kubernetes or HTTP clients see too: camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def validate(model: type[M], content: Any, source: str) -> M:
    """Check parsed JSON against its model.

    Args:
      source: The document's key, for the error message.

    Raises:
      BrokenDocument: A field is missing or has another type; the message names each.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise broken(source, describe_faults(error)) from error


def broken(source: str, fault: str) -> BrokenDocument:
    """Return the error of a document that cannot be used."""
    return BrokenDocument(
        f"{source}: {fault}; it is damaged or another version of slipway wrote it: "
        "read it with that version, or start a new run"
    )


def describe_faults(error: ValidationError) -> str:
    """Name each wrong field, and what is wrong with it, on one line."""
    faults = [_describe(fault) for fault in error.errors(include_url=False)]
    more = f" and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    return ", ".join(faults[:_MOST_FAULTS]) + more


def _describe(fault: Mapping[str, Any]) -> str:
    field = ".".join(map(str, fault["loc"])) or "the document"
    if fault["type"] == "missing":
        return f"{field} is missing"
    return f"{field}: {fault['msg']} (got {str(fault['input'])[:80]!r})"
