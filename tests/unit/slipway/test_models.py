import pytest
from pydantic import ValidationError

from slipway.errors import BrokenDocument
from slipway.models import AnswerModel, ArtifactModel, CamelArtifactModel, StrictModel, validate


class Harbour(ArtifactModel):
    max_ships: int
    name: str = ""
    pier: "Pier | None" = None


class Pier(ArtifactModel):
    length: float


class Ship(CamelArtifactModel):
    home_port: str = "here"


class Request(StrictModel):
    max_ships: int = 1


class Answer(AnswerModel):
    max_ships: int


def test_a_request_is_camel_case_frozen_and_takes_no_unknown_field():
    request = Request.model_validate({"maxShips": 3})
    assert request == Request(max_ships=3)
    with pytest.raises(ValidationError, match="extra"):
        Request.model_validate({"maxShip": 3})
    with pytest.raises(ValidationError, match="frozen"):
        request.max_ships = 4


def test_an_answer_is_camel_case():
    assert Answer(max_ships=3).model_dump(by_alias=True) == {"maxShips": 3}


def test_a_document_is_read_without_the_fields_of_a_newer_version():
    assert validate(Harbour, {"max_ships": 3, "lighthouse": True}, "a.json") == Harbour(max_ships=3)


def test_a_document_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Harbour(max_ships=3).max_ships = 4


def test_only_what_was_set_is_written():
    assert Harbour(max_ships=3).content() == {"max_ships": 3}
    assert Harbour(max_ships=3, pier=None).encode() == b'{\n "max_ships": 3,\n "pier": null\n}\n'
    assert Harbour(max_ships=3, name="é").encode_line() == b'{"max_ships": 3, "name": "\\u00e9"}\n'


def test_a_document_for_clients_is_camel_case():
    assert Ship(home_port="there").content() == {"homePort": "there"}
    assert validate(Ship, {"homePort": "there"}, "a.json").home_port == "there"


def test_each_wrong_field_is_named_with_its_key_and_what_to_do():
    with pytest.raises(BrokenDocument) as error:
        validate(Harbour, {"name": ["x"], "pier": {}}, "runs/a/harbour.json")
    assert str(error.value) == (
        "runs/a/harbour.json: max_ships: Field required; name: Input should be a valid string (got ['x']); "
        "pier.length: Field required; it is damaged or another version of slipway wrote it: "
        "read it with that version, or start a new run"
    )


def test_many_wrong_fields_are_counted():
    class Many(ArtifactModel):
        ships: list[int]

    with pytest.raises(BrokenDocument, match=r"ships\.19: .*; and 5 more; it is damaged"):
        validate(Many, {"ships": ["x"] * 25}, "a.json")
