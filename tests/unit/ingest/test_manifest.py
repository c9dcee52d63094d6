"""The numbers of a dataset."""

import pytest

from slipway.artifacts.dataset import Finding
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.ingest.manifest import (
    Dataset,
    build_manifest,
    build_report,
    count_by_severity,
    find_absent_labels,
    num_shards,
)

LABELS = LabelMap(("buoy", "ship"))


def image(width, *sides):
    boxes = tuple(LabeledBox("ship", Box(0, 0, side, side)) for side in sides)
    return AnnotatedImage("a.jpg", 1, "ab" * 32, "jpeg", ImageSize(width, 48), boxes)


def finding(code, severity):
    return Finding(code, severity, "a.xml", None, "is wrong", "dropped")


def dataset(*findings):
    splits = {"train": [image(64, 10, 20), image(32)], "test": [image(640, 2000)]}
    return Dataset("harbour", splits, LABELS, findings, ["Partitioned."])


@pytest.mark.parametrize(("images", "shards"), [(1, 1), (19, 1), (20, 2), (1000, 2), (1001, 3)])
def test_shards_follow_from_the_number_of_images(images, shards):
    assert num_shards(images) == shards


def test_manifest_has_the_numbers_that_later_stages_need():
    manifest = build_manifest(dataset(finding("box_empty", "warning"), finding("box_empty", "warning")), "d" * 64)
    assert manifest.content() == {
        "name": "harbour",
        "sha256": "d" * 64,
        "labels": ["buoy", "ship"],
        "splits": {
            "train": {"images": 2, "boxes": 2, "per_class": {"buoy": 0, "ship": 2}, "shards": 1},
            "test": {"images": 1, "boxes": 1, "per_class": {"buoy": 0, "ship": 1}, "shards": 1},
        },
        "median_size": [64, 48],
        "counts": {"box_empty": 2},
        "severities": {"box_empty": {"warning": 2}},
        "notes": ["Partitioned."],
    }


def test_report_counts_boxes_by_size_from_the_smallest_to_the_largest():
    report = build_report(dataset(), "d" * 64)
    assert report.box_sizes == {
        **{"8–16": 1, "16–32": 1, "32–64": 0, "64–96": 0, "96–128": 0, "128–192": 0, "192–256": 0},
        **{"256–384": 0, "384–512": 0, "512–1024": 0, "1024+": 1},
    }


def test_report_lists_the_gravest_findings_first_and_counts_all():
    report = build_report(dataset(*[finding("a", "info")] * 1500, finding("b", "error")), "d" * 64)
    assert (len(report.findings), report.findings[0].code) == (1000, "b")
    assert report.counts == {"a": 1500, "b": 1}


def test_findings_of_one_code_are_counted_by_severity():
    findings = [finding("exif_rotated", "warning"), finding("exif_rotated", "info"), finding("exif_rotated", "info")]
    assert count_by_severity(findings) == {"exif_rotated": {"warning": 1, "info": 2}}


def test_label_without_a_box_is_a_finding_in_each_split():
    messages = [str(finding) for finding in find_absent_labels(dataset().splits, LABELS)]
    assert messages == [
        "label 'buoy' has no box in train; it cannot be learnt; annotate more of it",
        "label 'buoy' has no box in test; it is not measured; annotate more of it",
    ]


def test_report_has_examples_of_each_code_however_many_findings_are_graver():
    findings = [finding("box_outside", "error")] * 1500 + [finding("box_tiny", "warning")] * 9
    codes = [item.code for item in build_report(dataset(*findings), "d" * 64).findings]
    assert (len(codes), codes.count("box_tiny"), codes[-1]) == (1000, 5, "box_tiny")
