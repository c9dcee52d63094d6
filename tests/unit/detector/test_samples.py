"""Test images in the report."""

import io

from PIL import Image

from slipway.dataset.annotations import AnnotatedImage, LabeledBox
from slipway.dataset.boxes import Box, ImageSize
from slipway.dataset.labels import LabelMap

from services.detector.detect import Detection
from services.detector.samples import Sample, choose_samples, draw_sample, match_boxes

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
