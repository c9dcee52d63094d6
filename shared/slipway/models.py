"""The base models: of requests and settings, of HTTP answers, and of the documents that stages exchange."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from slipway.errors import BrokenDocument

_MOST_FAULTS = 20  # in a message: a damaged document may have thousands
_MOST_SHOWN = 200  # characters of a value: a damaged document may have a list of thousands there

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
        """Return the document as `json.dumps` accepts it."""
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
        raise broken(source, explain(error)) from error


def broken(source: str, fault: str) -> BrokenDocument:
    """Return the error of a document that cannot be used."""
    return BrokenDocument(
        f"{source}: {fault}; it is damaged or another version of slipway wrote it: "
        "read it with that version, or start a new run"
    )


def explain(error: ValidationError, names: Mapping[str, str] | None = None) -> str:
    """Name each wrong field, its fault and its value, on one line.

    Args:
      names: Field, such as `train.steps`, to the name that the message gives it instead.
    """
    faults = error.errors(include_url=False)
    rest = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return "; ".join([*(_fault(fault, names or {}) for fault in faults[:_MOST_FAULTS]), *rest])


def _fault(fault: Mapping[str, Any], names: Mapping[str, str]) -> str:
    field = ".".join(str(part) for part in fault["loc"]) or "the document"
    is_whole = isinstance(fault["input"], dict | BaseModel)  # a missing field is reported with the object that lacks it
    value = "" if is_whole else f" (got {repr(fault['input'])[:_MOST_SHOWN]})"
    return f"{names.get(field, field)}: {fault['msg'].removeprefix('Value error, ')}{value}"
