"""Reader of PyTorch's legacy weight files, without PyTorch.

Such a file holds four pickles (magic number, protocol, byte order, tensors), a pickled list of the storages' keys, and
then for each storage an int64 count and its numbers. A pickle may call any function that it names, so this reader
allows only the four names that weights need. A pickle cannot change the objects that replace these names, and every
size is checked after the last pickle has been read.

Source: pytorch, `torch/serialization.py`, `_legacy_save`.
"""

import io
import pickle
from collections import OrderedDict
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slipway.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT_BYTES = 8
# Raised for damaged pickles; the documentation of `pickle` lists some of them, and says that there are more.
_PICKLE_ERRORS = (
    pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OverflowError,
    RecursionError, TypeError, ValueError,
)  # fmt: skip


class _Refusal(Exception):
    """The reason why a file is refused, as the second half of a message."""


class _StorageType(NamedTuple):
    """Replaces PyTorch's classes of storages."""

    dtype: str


class _Storage(NamedTuple):
    """An array of numbers, shared by one or more tensors."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage, as the pickle describes it: not yet checked. Offset and strides count numbers."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _TensorBuilder:
    """Replaces PyTorch's `_rebuild_tensor_v2`. Slots, so that a pickle cannot set attributes."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _TensorBuilder(),
    ("torch", "FloatStorage"): _StorageType("<f4"),
    ("torch", "LongStorage"): _StorageType("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Reads one pickle, and resolves the allowed names only.

    Attributes:
      storages: The storages that the pickle names, by key.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the replacement of an allowed name."""
        if (module_name, global_name) not in _ALLOWED:
            names = ", ".join(".".join(name) for name in _ALLOWED)
            raise _Refusal(f"its pickle calls {module_name}.{global_name}, allowed are {names}")
        return _ALLOWED[module_name, global_name]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a tensor refers to."""
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(key), str(), int(count), None):
                storage = _Storage(key, dtype, count)
            case _:
                raise _Refusal(f"its pickle refers to {str(pid)[:80]!r}, expected a storage")
        if self.storages.setdefault(key, storage) != storage:
            raise _Refusal(f"storage {key} has two types or sizes")
        return storage


def read_tensors(content: bytes, source: str) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name, in the order of the file.

    Args:
      source: Name of the file, for errors.

    Raises:
      InputError: The file is damaged, has another format, or contains anything else than tensors of float32 or int64.
    """
    try:
        return _read(content)
    except (_Refusal, *_PICKLE_ERRORS) as error:
        reason = str(error) if isinstance(error, _Refusal) else f"its pickle is damaged: {error}"
        raise InputError(f"{source}: {reason}; expected a legacy PyTorch file of weights") from error


def _read(content: bytes) -> dict[str, NDArray[Any]]:
    file = io.BytesIO(content)
    magic, protocol, system = (_Unpickler(file).load() for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL) or not _is_little_endian(system):
        raise _Refusal("it does not begin with PyTorch's magic number, protocol 1001 and little-endian byte order")
    unpickler = _Unpickler(file)
    tensors = _check_tensors(unpickler.load())
    keys = _Unpickler(file).load()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(unpickler.storages):
        raise _Refusal("its list of storages differs from the storages of its tensors")
    numbers = _read_storages(content, file.tell(), [unpickler.storages[key] for key in keys])
    if sum(prod(tensor.shape) for tensor in tensors.values()) > sum(map(len, numbers.values())):
        raise _Refusal("its tensors have more numbers than its storages")
    return {name: _view(tensor, numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _is_little_endian(system: Any) -> bool:
    return isinstance(system, dict) and system.get("little_endian") is True


def _check_tensors(tensors: Any) -> dict[str, _Tensor]:
    if not isinstance(tensors, dict):
        raise _Refusal(f"it holds a {type(tensors).__name__}, expected tensors by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
            raise _Refusal(f"its entry {str(name)[:80]!r} is not a tensor")
        _check_bounds(name, tensor)
    return tensors


def _check_bounds(name: str, tensor: _Tensor) -> None:
    """Check that each number of the tensor lies in its storage, and that none is repeated without end."""
    length, offset, shape, strides = tensor.storage.length, tensor.offset, tensor.shape, tensor.strides
    description = f"tensor {name} has offset {offset!r}, shape {shape!r} and strides {strides!r}"
    if not isinstance(shape, tuple) or not isinstance(strides, tuple) or len(shape) != len(strides):
        raise _Refusal(f"{description}, expected a stride for each dimension")
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise _Refusal(f"{description}, expected whole numbers from 0")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if prod(shape) > length or (prod(shape) and last >= length):
        raise _Refusal(f"{description}, its storage has {length} numbers")


def _read_storages(content: bytes, position: int, storages: list[_Storage]) -> dict[str, NDArray[Any]]:
    """Return the numbers of each storage by its key. They fill the file to its end."""
    numbers = {}
    for storage in storages:
        count = int.from_bytes(content[position : position + _COUNT_BYTES], "little", signed=True)
        if count != storage.length or count < 0:
            raise _Refusal(f"storage {storage.key} has {count} numbers, its tensors expect {storage.length}")
        start = position + _COUNT_BYTES
        position = start + count * np.dtype(storage.dtype).itemsize
        if position > len(content):
            raise _Refusal(f"it ends at byte {len(content)}, storage {storage.key} at byte {position}")
        numbers[storage.key] = np.frombuffer(content, storage.dtype, count, start)
    if position != len(content):
        raise _Refusal(f"{len(content) - position} bytes follow its last storage")
    return numbers


def _view(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    """Copy the tensor's numbers in the order of its dimensions: the storage may hold them transposed."""
    strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
    return view.copy(order="C")
