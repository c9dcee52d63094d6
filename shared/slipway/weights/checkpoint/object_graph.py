"""The object graph of a TensorFlow checkpoint: the variables of each module, such as the backbone.

TensorFlow restores an object by the names on the way to it from the root, whatever its tensors are called. A checkpoint
of a training has the children `model` and `optimizer`, and `backbone`, `decoder` and `head`, parts of the model.

Source: tensorflow, `core/protobuf/trackable_object_graph.proto`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.weights.checkpoint.table import BadCheckpoint, Tensor, read_fields, read_table

Shapes = Mapping[str, int]  # a shape such as 3x3x16x32 → the number of variables that have it

_MAX_LINKS = 1_000_000
_VARIABLE = b"VARIABLE_VALUE"


@dataclass
class _Node:
    children: dict[bytes, int] = field(default_factory=dict)
    tensor: bytes | None = None


def read_modules(prefix: Path) -> dict[str, Shapes]:
    """Return the variables of each module that a checkpoint's root names, by module.

    Args:
      prefix: The checkpoint's path without suffix.

    Raises:
      BadCheckpoint: It is not a checkpoint of TensorFlow 2, or a part of it is missing.
    """
    tensors, graph = read_table(prefix)
    try:
        nodes = _nodes(graph)
        return {name.decode(): _shapes(nodes, child, tensors) for name, child in nodes[0].children.items()}
    except (IndexError, KeyError, ValueError) as error:
        raise BadCheckpoint(f"the object graph of {prefix.name} is damaged") from error


def _nodes(graph: bytes) -> list[_Node]:
    nodes, links = [], 0
    for number, content in read_fields(graph):
        if number == 1 and isinstance(content, bytes):
            nodes.append(_node(content))
            links += 1 + len(nodes[-1].children)
        if links > _MAX_LINKS:
            raise ValueError("it has too many objects")
    return nodes


def _node(content: bytes) -> _Node:
    """Read a `TrackableObject`."""
    node = _Node()
    for number, message in read_fields(content):
        if number == 1 and isinstance(message, bytes):
            child = dict(read_fields(message))
            node.children[_text(child.get(2, b""))] = _number(child.get(1, 0))
        elif number == 2 and isinstance(message, bytes):
            attribute = dict(read_fields(message))
            if attribute.get(1) == _VARIABLE:
                node.tensor = _text(attribute.get(3, b""))
    return node


def _text(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a name is a number")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a number is a name")
    return value


def _shapes(nodes: list[_Node], root: int, tensors: Mapping[str, Tensor]) -> Shapes:
    """Count the shapes of the variables that can be reached from one node."""
    seen, waiting = {root}, [root]
    counts: Counter[str] = Counter()
    while waiting:
        node = nodes[waiting.pop()]
        if node.tensor is not None:
            counts[shape_text(tensors[node.tensor.decode()].shape)] += 1
        unseen = set(node.children.values()) - seen
        seen |= unseen
        waiting += unseen
    return counts


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as text, such as 3x3x16x32; a single number has none, and is called scalar."""
    return "x".join(map(str, shape)) or "scalar"
