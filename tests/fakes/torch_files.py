"""Weight files in PyTorch's legacy format, written without PyTorch."""

import io
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class Storage(NamedTuple):
    """The numbers of a storage; the pickle refers to it by key."""

    key: str
    type_name: str
    numbers: list[float]
    length: int


class Tensor:
    """Pickled as a call of `torch._utils._rebuild_tensor_v2`."""

    def __init__(self, storage: Storage, shape: Any, strides: Any, offset: Any = 0) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


def storage(key: str, numbers: list[float], type_name: str = "FloatStorage") -> Storage:
    return Storage(key, type_name, numbers, len(numbers))


def weight_file(tensors: Mapping[str, Any], *storages: Storage, magic: int = MAGIC, system: Any = SYSTEM) -> bytes:
    """Return the content of a file with these tensors; the storages follow in this order."""
    keys = [storage.key for storage in storages]
    with _torch():
        pickles = [_pickled(part) for part in (magic, PROTOCOL, system, OrderedDict(tensors), keys)]
    bodies = [
        len(storage.numbers).to_bytes(8, "little") + np.array(storage.numbers, _TYPES[storage.type_name]).tobytes()
        for storage in storages
    ]
    return b"".join(pickles + bodies)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        return "storage", getattr(sys.modules["torch"], obj.type_name), obj.key, "cpu", obj.length, None


def _pickled(part: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(part)
    return file.getvalue()


@contextmanager
def _torch() -> Iterator[None]:
    """Put modules in place that have the names that such a file contains."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _TYPES:
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None:
        """Named in the pickle, and never called."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    with patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        yield
