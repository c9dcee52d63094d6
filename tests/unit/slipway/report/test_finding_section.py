from slipway.artifacts.dataset import Finding
from slipway.report.finding_section import finding_groups


def findings(code, severity, count):
    return [Finding(code, severity, f"{number}.xml", None, "is wrong", "dropped") for number in range(count)]


def test_groups_are_the_most_severe_first_with_their_effect_on_the_training():
    groups = finding_groups([*findings("box_tiny", "warning", 1), *findings("box_outside", "error", 2)], {})
    assert [(group.code, group.severity, group.count) for group in groups] == [
        ("box_outside", "error", 2),
        ("box_tiny", "warning", 1),
    ]
    assert groups[0].effect == "the box is left out; the object would be learnt as background"


def test_small_groups_are_shown_whole_and_large_ones_share_the_room():
    listed = [*findings("box_tiny", "warning", 3), *findings("box_empty", "warning", 90)]
    groups = finding_groups(listed, {"box_tiny": 3, "box_empty": 4000}, room=20)
    assert {group.code: (group.count, len(group.shown)) for group in groups} == {
        "box_empty": (4000, 17),
        "box_tiny": (3, 3),
    }


def test_group_of_a_code_of_another_version_has_no_effect():
    (group,) = finding_groups([], {"code_of_tomorrow": 2})
    assert (group.count, group.effect) == (2, "")
