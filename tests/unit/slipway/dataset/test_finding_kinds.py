from slipway.dataset.finding_kinds import FindingKind, effect_of, finding_kinds, findings_table


def test_kind_of_a_code_has_its_severity_effect_and_remedy():
    kind = FindingKind(
        "warning", "the box has no area", "left out; nothing can be learnt from it", "redraw or remove the box"
    )
    assert finding_kinds()["box_empty"] == kind


def test_effect_of_a_code_of_another_version_is_empty():
    assert effect_of("box_overhang") == "clipped to the image"
    assert effect_of("no_such_code") == ""


def test_table_has_a_row_for_each_code_and_escapes_tags():
    lines = findings_table().splitlines()
    assert len(lines) == 2 + len(finding_kinds())
    assert any(line.startswith("| `boxes_in_object` | info | one \\<object> has several boxes |") for line in lines)
