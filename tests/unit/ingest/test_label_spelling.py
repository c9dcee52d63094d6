"""Labels that look equal and are written in other code points."""

import unicodedata

import pytest

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.ingest.label_spelling import key, spelled_as, unite_spellings

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def image(*labels):
    boxes = tuple(LabeledBox(label, Box(1, 1, 9, 9)) for label in labels)
    return AnnotatedImage("a.jpg", 0, "0" * 64, "jpeg", ImageSize(20, 20), boxes)


def labels_of(images):
    return [box.label for _, one in images for box in one.boxes]


@pytest.mark.parametrize(
    "label",
    [
        DECOMPOSED,
        "caf\u00e9\u200b",
        "\ufeffcaf\u00e9",
        "ca\u00adf\u00e9",
        "\uff43\uff41\uff46\u00e9",
        "caf\u00e9\u00a0",
    ],
    ids=ascii,
)
def test_what_looks_equal_has_the_same_key(label):
    assert key(label) == COMPOSED


def test_case_and_spaces_between_words_are_kept_apart():
    assert len({key(label) for label in ("Café", "café", "ca fé")}) == 3


def test_two_spellings_become_the_more_frequent_one_and_are_reported():
    images, findings = unite_spellings([("a.xml", image(COMPOSED)), ("b.xml", image(DECOMPOSED, DECOMPOSED, "dog"))])
    assert labels_of(images) == [DECOMPOSED, DECOMPOSED, DECOMPOSED, "dog"]
    (finding,) = findings
    assert (finding.code, finding.severity) == ("label_united", "warning")
    assert str(finding) == (
        f"a.xml: label 'caf\\xe9' (1 boxes) looks like 'cafe\\u0301' (2 boxes); read as {DECOMPOSED!r}"
    )


def test_of_equally_frequent_spellings_the_composed_one_is_used():
    images, _ = unite_spellings([("a.xml", image(DECOMPOSED, COMPOSED))])
    assert labels_of(images) == [COMPOSED, COMPOSED]


def test_single_spelling_stays_as_it_is():
    korean = unicodedata.normalize("NFD", "사진")
    images = [("a.xml", image(korean, "m²"))]
    assert unite_spellings(images) == (images, [])


def test_label_map_decides_the_spelling():
    boxes = image(DECOMPOSED, "fox").boxes
    assert [box.label for box in spelled_as(boxes, LabelMap((COMPOSED, "dog")))] == [COMPOSED, "fox"]
    assert spelled_as(boxes, None) == boxes
