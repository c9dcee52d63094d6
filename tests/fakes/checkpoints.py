"""Small checkpoints in TensorFlow's format, written without TensorFlow."""

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.run.presets import load_preset
from slipway.weights.networks import network_of

Shape = tuple[int, ...]
FLOAT, STRING = 1, 7


def write_checkpoint(prefix: Path, modules: Mapping[str, Sequence[Shape]], value: bytes = b"\0") -> None:
    """Write a checkpoint whose root has these modules, each with variables of these shapes.

    Args:
      prefix: Its path without suffix.
      value: One byte, of which the variables consist.
    """
    graph = object_graph(modules)
    string = varint(len(graph)) + b"\0\0\0\0" + graph
    entries, data = {}, string
    for module, shapes in modules.items():
        for number, shape in enumerate(shapes):
            size = 4 * math.prod(shape)
            entries[f"{module}/{number}"] = entry(FLOAT, shape, len(data), size)
            data += value * size
    entries["_CHECKPOINTABLE_OBJECT_GRAPH"] = entry(STRING, (), 0, len(string))
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries))


def preset_modules(preset: str) -> dict[str, list[Shape]]:
    """Return modules with the shapes of a preset's backbone and decoder."""
    network = network_of(load_preset(preset))
    assert network
    return {
        module: [
            () if text == "scalar" else tuple(map(int, text.split("x"))) for text, n in shapes.items() for _ in range(n)
        ]
        for module, shapes in network.modules.items()
    }


def table(entries: Mapping[str, bytes], header: bytes = b"\x08\x01") -> bytes:
    """Return a table of one block, with the header of a bundle of one data file."""
    rows = {b"": header, **{key.encode(): value for key, value in entries.items()}}
    block = b"".join(row(key, rows[key]) for key in sorted(rows)) + struct.pack("<II", 0, 1)
    content = block + b"\0" + bytes(4)
    index = row(b"~", varint(0) + varint(len(block))) + struct.pack("<II", 0, 1)
    handles = varint(0) * 2 + varint(len(content)) + varint(len(index))
    footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return content + index + b"\0" + bytes(4) + footer


def row(key: bytes, value: bytes) -> bytes:
    return varint(0) + varint(len(key)) + varint(len(value)) + key + value


def entry(dtype: int, shape: Shape, offset: int, size: int) -> bytes:
    """Return a `BundleEntryProto`."""
    dims = b"".join(message(2, b"\x08" + varint(dim)) for dim in shape)
    return b"\x08" + varint(dtype) + message(2, dims) + b"\x20" + varint(offset) + b"\x28" + varint(size)


def object_graph(modules: Mapping[str, Sequence[Shape]]) -> bytes:
    """Return a `TrackableObjectGraph`: the root, the modules, then their variables."""
    nodes, variables = [b""], []
    first = 1 + len(modules)
    for number, (module, shapes) in enumerate(modules.items(), start=1):
        nodes[0] += child(number, module)
        ids = range(first + len(variables), first + len(variables) + len(shapes))
        nodes.append(b"".join(child(id, f"weight-{index}") for index, id in enumerate(ids)))
        variables += [f"{module}/{index}" for index in range(len(shapes))]
    attribute = [message(2, message(1, b"VARIABLE_VALUE") + message(3, key.encode())) for key in variables]
    return b"".join(message(1, node) for node in [*nodes, *attribute])


def child(node: int, name: str) -> bytes:
    return message(1, b"\x08" + varint(node) + message(2, name.encode()))


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    content = b""
    while number >= 0x80:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])
