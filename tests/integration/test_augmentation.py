"""Augmentation of training images: boxes stay on the pixels that they annotate, whatever is done to the images."""

from itertools import islice

import numpy as np
import pytest

from slipway.run.augmentation import Augmentation
from tests.fakes.patches import colour_share, decoded, draw_patches, is_coloured, write_records
from tests.fakes.plans import small_plan

from services.trainer.augmentation.colour import jitter_colours
from services.trainer.augmentation.inputs import Progress, build_inputs
from services.trainer.augmentation.mosaic import Canvas, mosaic
from services.trainer.pipeline_config import dump, pipeline_config

# What Model Garden's own modules say as they are imported.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIZE = 128
NOTHING = {"flip": False, "scale": (1, 1), "crop": False, "colour": 0, "mosaic": 0}
SIZES = [(120, 200), (300, 90), (128, 128), (100, 90)]


def seed(number):
    import tensorflow as tf

    return tf.constant([3, number], tf.int64)


def make_mosaic(number, keeps_aspect_ratio=False, most=6):
    """Return the parts and the mosaic, as numpy arrays."""
    parts = [decoded(*draw_patches(*size, seed=4 * number + n, most=most), str(n)) for n, size in enumerate(SIZES)]
    example = mosaic(parts, Canvas(SIZE, SIZE, keeps_aspect_ratio), seed(number))
    return parts, {key: value.numpy() for key, value in example.items()}


def inside(image, box, margin=2.0):
    """Return the pixels inside of a normalized box, without the blurred ones at its border."""
    ymin, xmin, ymax, xmax = box * SIZE
    rows, columns = (
        slice(int(np.ceil(start + margin)), max(0, int(np.floor(stop - margin))))
        for start, stop in ((ymin, ymax), (xmin, xmax))
    )
    return image[rows, columns]


@pytest.mark.parametrize("keeps_aspect_ratio", [False, True], ids=["stretched", "scaled-to-fit"])
def test_boxes_of_a_mosaic_lie_on_their_pixels(keeps_aspect_ratio):
    checked_count = 0
    for number in range(30):
        _, example = make_mosaic(number, keeps_aspect_ratio)
        assert example["image"].shape == (SIZE, SIZE, 3)
        assert example["image"].dtype == np.uint8
        boxes, class_ids = example["groundtruth_boxes"], example["groundtruth_classes"]
        assert len(boxes) == len(class_ids) == len(example["groundtruth_area"]) == len(example["groundtruth_is_crowd"])
        assert boxes.min() >= 0
        assert boxes.max() <= 1
        for box, class_id, area in zip(boxes, class_ids, example["groundtruth_area"], strict=True):
            assert area == pytest.approx(np.prod(box[2:] - box[:2]) * SIZE**2, rel=1e-3)
            assert colour_share(inside(example["image"], box), class_id) > 0.99
            checked_count += 1
    assert checked_count > 400


def test_a_mosaic_loses_no_box_but_those_of_which_little_is_left():
    """One patch in each of four images, each of another colour: what has no box has few pixels, and no box has more."""
    dropped_count = 0
    for number in range(60):
        rng = np.random.default_rng(number)
        parts = []
        for class_id, (height, width) in enumerate(SIZES, start=1):
            image, patches = draw_patches(height, width, seed=int(rng.integers(1 << 30)))
            _, *corners = patches[class_id - 1]
            parts.append(decoded(np.where(is_coloured(image, class_id)[..., None], image, 0), [(class_id, *corners)]))
        example = mosaic(parts, Canvas(SIZE, SIZE, False), seed(number))
        boxes = dict(zip(example["groundtruth_classes"].numpy(), example["groundtruth_boxes"].numpy(), strict=True))
        for class_id, part in enumerate(parts, start=1):
            pixel_count = is_coloured(example["image"].numpy(), class_id).sum()
            if class_id in boxes:
                ymin, xmin, ymax, xmax = boxes[class_id] * SIZE
                assert pixel_count == pytest.approx((ymax - ymin) * (xmax - xmin), rel=0.1, abs=40)
            else:
                ymin, xmin, ymax, xmax = part["groundtruth_boxes"].numpy()[0] * SIZE
                assert pixel_count <= 0.3 * 0.7**2 * (ymax - ymin) * (xmax - xmin) + 20  # 0.7 is the largest tile
                dropped_count += 1
    assert 5 < dropped_count < 120


def test_a_mosaic_of_images_without_boxes_has_none():
    _, example = make_mosaic(1, most=0)
    assert example["groundtruth_boxes"].shape == (0, 4)
    assert example["groundtruth_classes"].shape == (0,)


def test_a_mosaic_has_the_id_of_its_first_image_and_the_size_of_the_input():
    parts, example = make_mosaic(1)
    assert set(example) == set(parts[0])
    assert (example["source_id"], example["height"], example["width"]) == (b"0", SIZE, SIZE)
    assert all(example[key].dtype == part.dtype.as_numpy_dtype for key, part in parts[0].items() if key != "source_id")


def test_a_region_is_resized_to_the_pixels_that_model_garden_would_make():
    """A ramp from 0 to 200: the mosaic's parts have its values where their boxes say they are."""
    ramp = np.repeat(np.linspace(0, 200, 400, dtype=np.float32).astype(np.uint8)[:, None, None], 3, axis=2)
    image = np.repeat(ramp, 300, axis=1)
    marks = [(1, 100, 30, 300, 270)]
    example = mosaic([decoded(image, marks)] * 4, Canvas(SIZE, SIZE, False), seed(5))
    for ymin, xmin, ymax, _ in example["groundtruth_boxes"].numpy() * SIZE:
        column = example["image"].numpy()[:, int(xmin) + 2, 0].astype(float)
        rows = np.arange(int(np.ceil(ymin)), int(ymax))
        assert np.diff(column[rows]) == pytest.approx(np.diff(column[rows]).mean(), abs=1.01)


def test_colours_change_by_no_more_than_the_strength_allows():
    import tensorflow as tf

    image = tf.constant(draw_patches(40, 60, seed=1)[0] // 2 + 64)
    for strength, least, most in ((0.0, 0, 0), (0.1, 5, 25), (1.0, 50, 255)):
        changes = [
            np.abs(jitter_colours(image, strength, seed(n)).numpy().astype(int) - image.numpy()) for n in range(40)
        ]
        assert least <= max(change.max() for change in changes) <= most


def test_changed_colours_keep_grey_grey_and_shape_and_type():
    import tensorflow as tf

    grey = tf.fill([5, 7, 3], tf.constant(90, tf.uint8))
    for number in range(20):
        image = jitter_colours(grey, 1.0, seed(number))
        assert (image.shape, image.dtype) == ((5, 7, 3), tf.uint8)
        assert np.ptp(image.numpy()) <= 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records of images in several sizes; the first has no box."""
    folder = tmp_path_factory.mktemp("patches")
    images = [draw_patches(*SIZES[n % 4], seed=n, most=n % 7) for n in range(14)]
    write_records(folder / "train-00000-of-00001.tfrecord", images)
    return folder


def config_of(folder, **augmentation):
    """Return the config of a training that reads the images in their order, the same ones in every fourteen."""
    fields = {f"augment_{field}": value for field, value in (NOTHING | augmentation).items()}
    config = pipeline_config(small_plan(image_size=SIZE, **fields), 6, 8, None)
    config.task.train_data.input_path = str(folder / "train-*.tfrecord")
    config.task.train_data.shuffle_buffer_size = 1
    return config


def batches(config, count, start_step=0, worker=0, **augmentation):
    """Return the first batches of a worker, as Model Garden's trainer gets them."""
    import tensorflow as tf

    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=worker, num_replicas_in_sync=2)
    progress = Progress(steps=20, start_step=start_step, seed=3)
    dataset = build_inputs(config.task, Augmentation(**(NOTHING | augmentation)), progress, context)
    return list(islice(dataset, count))


def pictures(batch):
    """Return the images of a batch as they were before they were normalized, float [batch, height, width, 3]."""
    from official.vision.ops.preprocess_ops import MEAN_RGB, STDDEV_RGB

    return batch[0].numpy() * STDDEV_RGB + MEAN_RGB


def matched_boxes(labels, index):
    """Return (class id, normalized box) of each anchor that was given a box, decoded again from the targets."""
    import tensorflow as tf
    from official.vision.ops.box_ops import decode_boxes

    levels = sorted(labels["cls_targets"], key=int)
    targets, anchors = (
        tf.concat([tf.reshape(labels[key][level][index], [-1, 4]) for level in levels], axis=0)
        for key in ("box_targets", "anchor_boxes")
    )
    class_ids = np.concatenate([labels["cls_targets"][level][index].numpy().ravel() for level in levels])
    boxes = decode_boxes(targets, tf.cast(anchors, tf.float32)).numpy() / SIZE
    positives = labels["box_weights"][index].numpy() > 0
    return list(zip(class_ids[positives].astype(int), boxes[positives], strict=True))


@pytest.mark.parametrize(
    "augmentation",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"flip": True}, id="flip"),
        pytest.param({"scale": (0.7, 1.5)}, id="scale"),
        pytest.param({"crop": True}, id="crop"),
        pytest.param({"mosaic": 0.8}, id="mosaic"),
        pytest.param({"flip": True, "scale": (0.5, 2), "crop": True, "mosaic": 0.5, "colour": 0.1}, id="all"),
    ],
)
def test_boxes_that_the_model_learns_lie_on_their_pixels(folder, augmentation):
    checked_count = 0
    for batch in batches(config_of(folder, **augmentation), 16, **augmentation):
        for index, image in enumerate(pictures(batch)):
            for class_id, box in matched_boxes(batch[1], index):
                assert box.min() > -1e-3
                assert box.max() < 1 + 1e-3
                assert colour_share(inside(image, box), class_id) > 0.95
                checked_count += 1
    assert checked_count > 300


def test_batches_of_a_training_without_mosaic_and_colours_are_those_of_model_garden(folder):
    import tensorflow as tf
    from official.core import task_factory

    config = config_of(folder)
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=1, num_replicas_in_sync=2)
    expected_batches = islice(task_factory.get_task(config.task).build_inputs(config.task.train_data, context), 5)
    for batch, expected_batch in zip(batches(config, 5, worker=1), expected_batches, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, expected_batch)


def test_what_is_drawn_follows_from_seed_and_worker_and_step(folder):
    augmentation = {"mosaic": 0.5, "colour": 0.5}
    config = config_of(folder, **augmentation)
    images, same, other_worker, later = (
        np.concatenate([pictures(batch) for batch in batches(config, 6, **augmentation, **position)])
        for position in ({}, {}, {"worker": 1}, {"start_step": 7})
    )
    np.testing.assert_array_equal(images, same)
    assert np.abs(images - other_worker).max() > 50
    assert np.abs(images - later).max() > 50


@pytest.mark.parametrize("start_step", [0, 14], ids=["from-the-start", "resumed"])
def test_mosaics_begin_with_the_fourth_image_and_end_with_the_last_fifth_of_the_steps(folder, start_step):
    config = config_of(folder, mosaic=1)
    whole, mosaics = (
        np.concatenate([pictures(batch) for batch in batches(config, 20 - start_step, start_step, **augmentation)])
        for augmentation in ({}, {"mosaic": 1})
    )
    is_mosaic = [np.abs(first - second).max() > 1 for first, second in zip(whole, mosaics, strict=True)]
    mosaic_end = (16 - start_step) * 2  # a worker's half of four images a step
    assert is_mosaic == [False] * 3 + [True] * (mosaic_end - 3) + [False] * 8


def test_pipeline_config_with_every_augmentation_is_one_that_model_garden_reads_back(folder):
    import yaml
    from official.core import exp_factory

    config = config_of(folder, flip=True, scale=(0.5, 2), crop=True, colour=1, mosaic=1)
    other = exp_factory.get_exp_config("retinanet_resnetfpn_coco")
    other.override(yaml.safe_load(dump(config)), is_strict=True)
    parser = other.task.train_data.parser
    assert (parser.aug_rand_hflip, parser.aug_scale_min, parser.aug_scale_max) == (True, 0.5, 2)
    assert parser.aug_type.type == "ssd_random_crop"
    assert parser.aug_type.ssd_random_crop.area_range == [0.1, 1.0]
    assert len(list(batches(other, 1))) == 1
