"""Test images and single failures in the report."""

import io

import pytest
from PIL import Image

from slipway.artifacts.error_analysis import Failure
from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.detector import samples
from services.detector.detect import Detection
from services.detector.samples import Sample, choose_samples, cut_out, draw_failures, draw_sample, match_boxes

LABELS = LabelMap(("cat", "dog"))


def image(*boxes: tuple[str, Box], name: str = "a.jpg") -> AnnotatedImage:
    return AnnotatedImage(name, 1, "0" * 64, "jpeg", ImageSize(100, 50), tuple(LabeledBox(*box) for box in boxes))


def detection(label: str, box: Box, score: float = 0.9) -> Detection:
    return Detection(label, LABELS.id(label), score, box)


def test_found_missed_and_extra_boxes_are_counted() -> None:
    truth = image(("cat", Box(0, 0, 20, 20)), ("cat", Box(50, 0, 70, 20)), ("dog", Box(0, 30, 20, 50)))

    result = match_boxes(truth, [detection("cat", Box(1, 0, 21, 20)), detection("dog", Box(80, 30, 99, 50))])

    assert (result.detected_boxes, result.missed_boxes, result.extra_detections) == (1, 2, 1)
    assert result.caption == "1 of 3 boxes found, 1 extra"


def test_a_second_detection_of_the_same_box_is_extra() -> None:
    result = match_boxes(
        image(("cat", Box(0, 0, 20, 20))), [detection("cat", Box(0, 0, 20, 20)), detection("cat", Box(0, 0, 20, 19))]
    )

    assert result.caption == "1 of 1 box found, 1 extra"


def test_the_right_box_with_the_wrong_label_is_not_a_match() -> None:
    assert match_boxes(image(("cat", Box(0, 0, 20, 20))), [detection("dog", Box(0, 0, 20, 20))]).detected_boxes == 0


def test_each_detection_takes_the_box_that_it_overlaps_most() -> None:
    truth = image(("cat", Box(0, 0, 20, 20)), ("cat", Box(4, 0, 24, 20)))

    assert (
        match_boxes(truth, [detection("cat", Box(4, 0, 24, 20)), detection("cat", Box(0, 0, 20, 20))]).detected_boxes
        == 2
    )


def test_an_image_without_boxes_says_so() -> None:
    assert match_boxes(image(), []).caption == "no boxes to find"
    assert match_boxes(image(), [detection("cat", Box(0, 0, 9, 9))]).caption == "no boxes to find, 1 extra"


def test_half_of_the_chosen_are_mistakes_and_half_have_many_boxes() -> None:
    boxes = [("cat", Box(0, 0, 9, 9))] * 3
    samples = [Sample(image(*boxes[: n % 3], name=f"right-{n:02d}.jpg"), [], n % 3, 0) for n in range(20)]
    samples += [Sample(image(*boxes, name=f"wrong-{n}.jpg"), [], 3 - n % 3, 0) for n in range(9)]

    filenames = [s.image.filename for s in choose_samples(samples)]

    worst, most_found = ["wrong-2.jpg", "wrong-5.jpg", "wrong-8.jpg"], ["wrong-0.jpg", "wrong-3.jpg", "wrong-6.jpg"]
    assert len(filenames) == 8
    assert filenames == sorted(filenames)
    assert {*worst, *most_found} < set(filenames)
    assert choose_samples(samples[::-1]) == choose_samples(samples)


def test_few_samples_are_all_shown() -> None:
    assert (
        choose_samples([match_boxes(image(name=name), []) for name in ("b.jpg", "a.jpg")])[0].image.filename == "a.jpg"
    )
    assert choose_samples([]) == []


def test_a_small_image_is_enlarged_and_a_large_one_reduced() -> None:
    truth = match_boxes(image(("cat", Box(10, 10, 40, 40))), [])

    small = draw_sample(truth, Image.new("RGB", (100, 50)), LABELS)
    large = draw_sample(truth, Image.new("RGB", (4000, 1000)), LABELS)

    assert [opened_size(small.truth), opened_size(large.detections)] == [(300, 150), (640, 160)]
    assert small.caption == "0 of 1 box found"


def opened_size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


def failure(annotated=None, detected=None, filename="a.jpg"):
    """Build a failure from boxes (xmin, ymin, xmax, ymax)."""

    def box(sides):
        return sides and {
            "label": "cat",
            "class_id": 1,
            "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)),
        }

    detection = box(detected) and box(detected) | {"score": 0.9}
    content = {"kind": "loose_box", "filename": filename, "annotated": box(annotated), "detected": detection}
    return Failure.model_validate(content)


def named(filename):
    return AnnotatedImage(filename, 1, "0" * 64, "jpeg", ImageSize(400, 300), ())


def pixels(width=400, height=300):
    return Image.new("RGB", (width, height), "navy")


def test_the_part_around_both_boxes_is_cut_out_and_the_boxes_are_in_percent_of_it():
    picture = cut_out(pixels(), failure((100, 100, 150, 150), (150, 100, 200, 150)))
    assert picture.annotated == pytest.approx(
        (22.222, 36.111, 27.778, 27.778), abs=0.01
    )  # 60 to 240 across, 35 to 215 down
    assert picture.detected == pytest.approx((50, 36.111, 27.778, 27.778), abs=0.01)
    assert opened_size(picture.jpeg) == (200, 200)


def test_a_failure_with_one_box_has_one_rectangle():
    assert cut_out(pixels(), failure(annotated=(10, 10, 60, 60))).detected is None
    assert cut_out(pixels(), failure(detected=(10, 10, 60, 60))).annotated is None


def test_a_box_at_the_edge_is_cut_at_the_image():
    picture = cut_out(pixels(), failure(detected=(380, 280, 420, 310)))
    assert opened_size(picture.jpeg) == (144, 164)  # 36 × 41 pixels, enlarged four times
    assert picture.detected.left + picture.detected.width == pytest.approx(100)


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (500, 400, 520, 420), (7, 7, 7, 7)], ids=str)
def test_a_box_outside_or_without_area_is_a_picture_too(box):
    assert min(opened_size(cut_out(pixels(), failure(detected=box)).jpeg)) >= 1


def test_each_image_is_read_once_and_only_if_it_has_a_failure():
    names = []

    def read(image):
        names.append(image.filename)
        return pixels()

    listed = [failure((0, 0, 9, 9), filename=name) for name in ("b.jpg", "a.jpg", "b.jpg")]
    pictures = draw_failures(listed, map(named, ("a.jpg", "b.jpg", "c.jpg")), read)
    assert names == ["a.jpg", "b.jpg"]
    assert [picture.failure for picture in pictures] == listed


def test_pictures_end_where_the_page_is_full(monkeypatch):
    monkeypatch.setattr(samples, "_MAX_FAILURE_BYTES", 3000)
    listed = [failure((0, 0, 90, 90))] * 50
    pictures = draw_failures(listed, [named("a.jpg")], lambda image: pixels())
    assert 0 < sum(len(picture.jpeg) for picture in pictures) <= 3000
    assert len(pictures) < 50
