import pytest

from slipway.run.from_data.augmentation import flip_conflict


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_hand", "right_hand"),
        ("arrow-left", "arrow-right"),
        ("turnLeft", "turnRight"),
        ("LEFT TURN", "Right turn"),
        ("left", "right"),
        ("lefthand", "righthand"),
        ("lane.left.solid", "lane.right.solid"),
        ("Schuh links", "Schuh rechts"),
    ],
)
def test_labels_that_differ_only_by_their_side_conflict(left, right):
    expected = f"labels {left!r} and {right!r} differ only by their side"
    assert flip_conflict(["stop", right, left, "car"]) == expected


@pytest.mark.parametrize(
    "labels",
    [
        (),
        ("raccoon",),
        ("Platelets", "RBC", "WBC"),
        ("left_hand", "right_foot"),
        ("turn_left", "stop"),
        ("bright", "cleft"),
        ("L", "R", "stop", "go"),
        ("size_L", "size_R"),
        ("A", "ship", "buoy"),
        ("0",),
        ("10", "25", "50"),
    ],
    ids=", ".join,
)
def test_other_labels_do_not(labels):
    assert flip_conflict(labels) is None


def test_characters_conflict_if_most_labels_are_some():
    assert flip_conflict([*"0123456789"]) == "all labels are letters or digits, such as '0' and '1'"
    assert flip_conflict([*"ABC", "plate"]) == "3 of 4 labels are letters or digits, such as 'A' and 'B'"
