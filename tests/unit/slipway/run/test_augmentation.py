import pytest
from pydantic import ValidationError

from slipway.errors import SpecError
from slipway.models import explain
from slipway.run.augmentation import Augmentation, AugmentSpec, parse_augment


def fault(**content):
    with pytest.raises(ValidationError) as error:
        AugmentSpec.model_validate(content)
    return explain(error.value)


def test_unknown_field_is_answered_with_the_known_ones():
    assert "there is no mosiac; choose from flip, scale, crop, colour, mosaic" in fault(mosiac=0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"flip": "maybe"}, "flip: Input should be a valid boolean"),
        ({"mosaic": 2}, "mosaic: Input should be less than or equal to 1 (got 2)"),
        ({"colour": "red"}, "colour: Input should be a valid number"),
        ({"scale": "0.5"}, "scale: Tuple should have at least 2 items"),
        ({"scale": [0.5, 9]}, "scale.1: Input should be less than or equal to 4 (got 9)"),
        ({"scale": "2,1"}, "scale: give the smallest factor first"),
    ],
    ids=str,
)
def test_wrong_value_is_named_with_what_is_right(content, message):
    assert message in fault(**content)


def test_texts_of_a_command_line_are_values():
    spec = AugmentSpec.model_validate({"flip": "false", "scale": "0.7,1.5", "mosaic": "0.25"})
    assert spec == AugmentSpec(flip=False, scale=(0.7, 1.5), mosaic=0.25)


def test_assignments_are_fields_as_json_has_them():
    texts = ["flip=true", "scale=0.5, 2", "flip=false", "mosaic = 0.25"]
    assert parse_augment(texts) == {"flip": False, "scale": [0.5, 2.0], "mosaic": 0.25}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip", "--augment flip: expected KEY=VALUE, such as flip=false"),
        ("=1", "--augment =1: expected KEY=VALUE"),
        ("mosiac=1", "--augment: there is no mosiac; choose from flip, scale, crop, colour, mosaic"),
        ("mosaic=2", r"--augment mosaic: .*less than or equal to 1 \(got '2'\)"),
    ],
)
def test_wrong_assignment_is_named(text, message):
    with pytest.raises(SpecError, match=message):
        parse_augment([text])


def test_defaults_are_those_of_the_versions_that_had_no_choice():
    assert Augmentation().model_dump() == {"flip": True, "scale": (0.7, 1.5), "crop": False, "colour": 0, "mosaic": 0}
