"""JSON documents in the store."""

import json
from typing import Any

from slipway.errors import MissingKey
from slipway.store.interface import ObjectStore


def read_json(store: ObjectStore, key: str) -> Any:
    """Read one JSON key. Raises `MissingKey`."""
    return json.loads(store.read(key))


def read_optional(store: ObjectStore, key: str) -> dict[str, Any]:
    """Read one JSON key that may not be there yet; {} when it is not."""
    try:
        content: dict[str, Any] = read_json(store, key)
    except MissingKey:
        return {}
    return content
