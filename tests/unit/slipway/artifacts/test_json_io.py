import pytest

from slipway.artifacts.json_io import (
    read_document,
    read_last_line,
    read_lines,
    read_optional,
    read_valid_lines,
    write_document,
    write_lines,
)
from slipway.errors import EXIT_BUG, BrokenDocument, MissingKey
from slipway.models import ArtifactModel
from slipway.store.folder import FolderStore


class Point(ArtifactModel):
    step: int
    value: float = 0.0
    name: str = ""


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


def test_a_document_is_read_as_it_was_written(store):
    write_document(store, "a.json", Point(step=1, value=0.5))
    assert store.read("a.json") == b'{\n "step": 1,\n "value": 0.5\n}\n'
    assert read_document(store, "a.json", Point) == Point(step=1, value=0.5)
    assert read_optional(store, "a.json", Point) == Point(step=1, value=0.5)


def test_an_absent_document_is_missing_or_none(store):
    assert read_optional(store, "a.json", Point) is None
    with pytest.raises(MissingKey):
        read_document(store, "a.json", Point)


def test_a_missing_field_is_refused_by_name(store):
    store.write("a.json", b'{"value": 0.5}')
    with pytest.raises(
        BrokenDocument, match=r"^a\.json: step: Field required; it is damaged or another version"
    ) as error:
        read_document(store, "a.json", Point)
    assert error.value.exit_code == EXIT_BUG
    with pytest.raises(BrokenDocument, match="step: Field required"):
        read_optional(store, "a.json", Point)


@pytest.mark.parametrize(
    "content", [b"", b'{"step": 1', b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut-off", "not-utf-8", "deep"]
)
def test_what_is_not_json_is_refused_with_its_key(store, content):
    store.write("a.json", content)
    with pytest.raises(BrokenDocument, match=r"^a\.json: is not JSON \("):
        read_document(store, "a.json", Point)


def test_json_of_another_form_is_refused(store):
    store.write("a.json", b"[1]")
    with pytest.raises(BrokenDocument, match=r"^a\.json: the document: .* \(got \[1\]\)"):
        read_document(store, "a.json", Point)


def test_a_name_that_is_not_utf_8_is_kept(store):
    name = b"caf\xe9.jpg".decode(errors="surrogateescape")
    write_document(store, "a.json", Point(step=1, name=name))
    assert read_document(store, "a.json", Point).name == name


def test_numbers_that_are_not_finite_are_kept(store):
    write_document(store, "a.json", Point(step=1, value=float("inf")))
    assert read_document(store, "a.json", Point).value == float("inf")


def test_lines_are_read_in_order(store):
    points = [Point(step=1), Point(step=2, value=0.25)]
    write_lines(store, "a.jsonl", points)
    assert store.read("a.jsonl") == b'{"step": 1}\n{"step": 2, "value": 0.25}\n'
    assert read_lines(store, "a.jsonl", Point) == points
    assert read_last_line(store, "a.jsonl", Point) == points[-1]


@pytest.mark.parametrize("content", [None, b""], ids=["absent", "empty"])
def test_without_lines_there_is_nothing_to_read(store, content):
    if content is not None:
        store.write("a.jsonl", content)
    assert read_lines(store, "a.jsonl", Point) == []
    assert read_last_line(store, "a.jsonl", Point) is None


def test_a_wrong_line_is_named_by_its_number(store):
    store.write("a.jsonl", b'{"step": 1}\n{"value": 2}\n')
    with pytest.raises(BrokenDocument, match=r"^a\.jsonl line 2: step: Field required"):
        read_lines(store, "a.jsonl", Point)
    with pytest.raises(BrokenDocument, match=r"^a\.jsonl line 2: step: Field required"):
        read_last_line(store, "a.jsonl", Point)


def test_a_damaged_line_is_left_out_and_named_where_the_others_are_worth_showing(store, caplog):
    store.write("a.jsonl", b'{"step": 1}\n{"value": 2}\n{"step": 3}\n')
    assert read_valid_lines(store, "a.jsonl", Point) == [Point(step=1), Point(step=3)]
    (record,) = caplog.records
    assert record.fields["reason"].startswith("a.jsonl line 2: step: Field required")
    assert read_valid_lines(store, "b.jsonl", Point) == []
