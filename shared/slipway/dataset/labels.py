"""The label map: the class id of each label."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from slipway.errors import InputError

_STRING = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_COMMENT = re.compile(rf"(?P<string>{_STRING})|#.*")
_ITEM = re.compile(rf"item\s*:?\s*\{{(?P<body>(?:[^{{}}'\"]|{_STRING})*)\}}")
_FIELD = re.compile(rf"(?P<key>\w+)\s*:\s*(?P<value>\d+|{_STRING})")
_ESCAPE = re.compile(rb"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|(?P<letter>.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


@dataclass(frozen=True)
class LabelMap:
    """Labels in the order of their class ids; the first has id 1, since 0 is background."""

    names: tuple[str, ...]

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> "LabelMap":
        """Number the distinct labels in alphabetical order."""
        return cls(tuple(sorted(set(labels))))

    @classmethod
    def parse(cls, text: str, source: str = "label map") -> "LabelMap":
        """Read `item { id: 1 name: 'cat' }` blocks, the tutorial's `label_map.pbtxt`.

        Raises:
          InputError: There is no item, an item lacks id or name, the ids are not 1..n, or there is other text.

        Source: the text format of protocol buffers, https://protobuf.dev/reference/protobuf/textformat-spec/.
        """
        text = _COMMENT.sub(lambda match: match.group("string") or "", text.removeprefix("\ufeff"))
        labels: dict[int, str] = {}
        for item in _ITEM.finditer(text):
            class_id, label = _parse_item(item.group("body"), source)
            if class_id in labels:
                raise InputError(f"{source}: id {class_id} is given twice; number the items 1, 2, 3, …")
            labels[class_id] = label
        rest = _ITEM.sub("", text).strip(" \t\r\n,;")
        if rest and labels:
            raise InputError(f"{source}: {rest[:40]!r} is not an item; write item {{ id: 1 name: 'cat' }}, one a label")
        if not labels:
            raise InputError(f"{source}: no item found; write item {{ id: 1 name: 'cat' }}, one a label")
        ids = sorted(labels)
        if ids != list(range(1, len(ids) + 1)):
            raise InputError(f"{source}: ids are {ids}, expected 1 to {len(ids)} without gaps; 0 is background")
        names = tuple(labels[class_id] for class_id in ids)
        if len(set(names)) != len(names):
            raise InputError(f"{source}: a name is given twice in {list(names)}; name each label once")
        return cls(names)

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


def _parse_item(body: str, source: str) -> tuple[int, str]:
    """Return class id and label of one item."""
    fields = {match.group("key"): match.group("value") for match in _FIELD.finditer(body)}
    number, name = fields.get("id", ""), fields.get("name", "")
    if not number.isdigit() or not name or name.isdigit():
        raise InputError(f"{source}: item {{{body.strip()}}} needs id and name; write item {{ id: 1 name: 'cat' }}")
    return int(number), _unquote(name)


def _quote(text: str) -> str:
    literal = re.sub(r'["\\]', r"\\\g<0>", text)
    for letter, character in _LETTERS.items():
        literal = literal.replace(character.decode(), f"\\{letter.decode()}")
    return f'"{literal}"'


def _unquote(literal: str) -> str:
    """Resolve the escapes, some of which are bytes of a character: TensorFlow writes é as `\\303\\251`."""
    return _ESCAPE.sub(_resolve_escape, literal[1:-1].encode()).decode(errors="replace")


def _resolve_escape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.group("octal", "hex", "letter")
    if letter:
        return _LETTERS.get(letter, letter)
    return bytes((int(octal, 8) & 0xFF if octal else int(hexadecimal, 16),))
