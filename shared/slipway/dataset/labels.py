"""The label map: the class id of each label."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from slipway.errors import InputError

_STRING = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_STRINGS = rf"(?:{_STRING})(?:\s*(?:{_STRING}))*"  # strings side by side are one
_COMMENT = re.compile(rf"(?P<string>{_STRING})|#.*")
_ITEM = re.compile(rf"item\s*:?\s*\{{(?P<body>(?:[^{{}}'\"]|{_STRING})*)\}}")
_NESTED = re.compile(
    rf"(?P<string>{_STRING})|\b(?!item\b)\w+\s*:?\s*\{{(?:[^{{}}'\"]|{_STRING})*\}}"
)  # keypoints, which are not used
_ANGLE = re.compile(rf"(?P<string>{_STRING})|(?P<bracket>[<>])")
_FIELD = re.compile(rf"(?P<key>\w+)\s*:\s*(?P<value>-?\d+(?![\w.])|{_STRINGS})")
_ESCAPE = re.compile(rb"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|(?P<letter>.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


@dataclass(frozen=True)
class LabelMap:
    """Labels in the order of their class ids; the first has id 1, since 0 is background.

    Attributes:
      display_names: The other name of each label, if the label map gives both; the labels of annotations may be these.
    """

    names: tuple[str, ...]
    display_names: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> "LabelMap":
        """Number the distinct labels in alphabetical order."""
        return cls(tuple(sorted(set(labels))))

    @classmethod
    def parse(cls, text: str, source: str = "label map") -> "LabelMap":
        """Read `item { id: 1 name: 'cat' }` blocks, the tutorial's `label_map.pbtxt`.

        An item may have a `display_name` instead of a name, or both. An item of id 0 named background is passed over.

        Raises:
          InputError: There is no item, an item lacks id or name, the ids are not 1..n, or there is other text.

        Source: the text format of protocol buffers, https://protobuf.dev/reference/protobuf/textformat-spec/, and
        object_detection/protos/string_int_label_map.proto of tensorflow/models.
        """
        text = _without_comments(text.removeprefix("\ufeff"))
        items: dict[int, _Item] = {}
        for match in _ITEM.finditer(text):
            class_id, item = _parse_item(match.group("body"), source)
            if class_id in items:
                raise InputError(f"{source}: id {class_id} is given twice; number the items 1, 2, 3, …")
            items[class_id] = item
        rest = " ".join(_ITEM.sub("", text).strip(" \t\r\n,;").split())
        if rest and items:
            raise InputError(f"{source}: {rest[:40]!r} is not an item; write item {{ id: 1 name: 'cat' }}, one a label")
        if items.get(0) in (_Item("background", ""), _Item("background", "background")):
            del items[0]
        if not items:
            raise InputError(f"{source}: no item found; write item {{ id: 1 name: 'cat' }}, one a label")
        return _number(items, source, cls)

    def dump(self) -> str:
        """Write the tutorial's `.pbtxt`."""
        return "\n".join(
            f"item {{\n  id: {class_id}\n  name: {_quote(name)}\n}}\n"
            for class_id, name in enumerate(self.names, start=1)
        )

    def id(self, label: str) -> int:
        """Return the class id, from 1.

        Raises:
          InputError: The map lacks the label.
        """
        try:
            return self.names.index(label) + 1
        except ValueError as error:
            raise InputError(
                f"label {label!r} is not in the label map, which has {list(self.names)}; add it or rename the box"
            ) from error

    def name(self, class_id: int) -> str:
        """Return the label of a class id, from 1."""
        if not 1 <= class_id <= len(self.names):
            raise InputError(f"class id {class_id} is not in the label map, which has 1 to {len(self.names)}")
        return self.names[class_id - 1]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, label: object) -> bool:
        return label in self.names


class _Item(NamedTuple):
    """The two names of an item; empty when it lacks one."""

    name: str
    display_name: str


def decode_label_map(content: bytes, source: str) -> str:
    """Return the text of a label map's file, in UTF-8 or, with a mark at its start, UTF-16.

    Raises:
      InputError: It is not text.
    """
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff")) and len(content) > 2
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: is not text: {error}; save it as UTF-8") from error


def _without_comments(text: str) -> str:
    """Return the text without comments and nested fields, and with braces only."""
    text = _COMMENT.sub(lambda match: match.group("string") or "", text)
    brackets = {"<": "{", ">": "}"}
    text = _ANGLE.sub(lambda match: match.group("string") or brackets[match.group("bracket")], text)
    return _NESTED.sub(lambda match: match.group("string") or "", text)


def _parse_item(body: str, source: str) -> tuple[int, _Item]:
    """Return class id and names of one item."""
    text = " ".join(body.split())
    fields: dict[str, str] = {}
    for match in _FIELD.finditer(body):
        key, value = match.group("key", "value")
        if key in fields and key in ("id", "name", "display_name"):
            raise InputError(f"{source}: item {{{text}}} has two fields {key}; write one item a label")
        fields[key] = value
    number = fields.get("id", "")
    name, display_name = (_unquote(fields.get(key, "")) for key in ("name", "display_name"))
    if not number.isdigit() or not (name or display_name):
        raise InputError(f"{source}: item {{{text}}} needs id and name; write item {{ id: 1 name: 'cat' }}")
    return int(number), _Item(name, display_name)


def _number(items: Mapping[int, _Item], source: str, cls: type[LabelMap]) -> LabelMap:
    """Build the label map, if the ids are 1..n and each name is given once."""
    ids = sorted(items)
    if ids != list(range(1, len(ids) + 1)):
        raise InputError(f"{source}: ids are {ids}, expected 1 to {len(ids)} without gaps; 0 is background")
    names = tuple(items[class_id].name for class_id in ids)
    display_names = tuple(items[class_id].display_name for class_id in ids)
    if not all(names):
        if not all(display_names):
            raise InputError(f"{source}: some items have a name, others only a display_name; give each a name")
        names, display_names = display_names, ()
    if len(set(names)) != len(names):
        raise InputError(f"{source}: a name is given twice in {list(names)}; name each label once")
    is_second_name = all(display_names) and len(set(display_names)) == len(names)
    return cls(names, display_names if is_second_name and display_names != names else ())


def _quote(text: str) -> str:
    literal = re.sub(r'["\\]', r"\\\g<0>", text)
    for letter, character in _LETTERS.items():
        literal = literal.replace(character.decode(), f"\\{letter.decode()}")
    return f'"{literal}"'


def _unquote(literal: str) -> str:
    """Join the strings, and resolve escapes, some of which are bytes: TensorFlow writes é as `\\303\\251`."""
    strings = re.findall(_STRING, literal)
    return b"".join(_ESCAPE.sub(_resolve_escape, text[1:-1].encode()) for text in strings).decode(errors="replace")


def _resolve_escape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.group("octal", "hex", "letter")
    if letter:
        return _LETTERS.get(letter, letter)
    return bytes((int(octal, 8) & 0xFF if octal else int(hexadecimal, 16),))
