"""Fitted anchors in Model Garden: its labeler finds one for each box that is counted as covered."""

import random
from pathlib import Path

import numpy as np
import pytest

from slipway import keys
from slipway.artifacts.dataset import DatasetManifest
from slipway.artifacts.json_io import read_document
from slipway.run.from_data.anchor_coverage import TrainBox, TrainBoxes
from slipway.run.plan import Plan, resolve
from slipway.run.spec import TrainingRun, TrainSpec
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from tests.fakes.plans import small_plan

from services.ingest.service import ingest
from services.ingest.train_boxes import read_train_boxes
from services.trainer.pipeline_config import pipeline_config

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

REAL = Path(__file__).parents[3] / "shared" / "data"  # the datasets that Slipway is developed with, where they are


def draw_boxes(count: int, width: tuple[float, float], height: tuple[float, float], seed: int) -> list[TrainBox]:
    """Draw boxes inside their image, of widths and heights in these ranges of fractions of it."""
    chance, boxes = random.Random(seed), []
    for _ in range(count):
        w, h = chance.uniform(*width), chance.uniform(*height)
        boxes.append(TrainBox(chance.uniform(w / 2, 1 - w / 2), chance.uniform(h / 2, 1 - h / 2), w, h, 1.0))
    return boxes


def matched_share(plan: Plan, boxes: list[TrainBox]) -> float:
    """Return the share of boxes for which the labeler finds an anchor by its threshold, not as the best of none."""
    import tensorflow as tf
    from official.vision.ops.anchor import Anchor, AnchorLabeler
    from official.vision.ops.box_matcher import BoxMatcher

    model = pipeline_config(plan, 1, 8, None).task.model
    anchors = Anchor(
        model.min_level,
        model.max_level,
        model.anchor.num_scales,
        model.anchor.aspect_ratios,
        model.anchor.anchor_size,
        model.input_size[:2],
    ).multilevel_boxes
    labeler = AnchorLabeler()
    labeler.matcher = BoxMatcher(thresholds=[0.5, 0.5], indicators=[-1, -2, 1], force_match_for_each_col=False)
    matched = []
    for x, y, width, height, _ in boxes:
        corners = np.array([[y - height / 2, x - width / 2, y + height / 2, x + width / 2]], np.float32)
        classes, *_ = labeler.label_anchors(anchors, tf.constant(corners * plan.image_size), tf.constant([[1]]))
        matched.append(any(tf.reduce_any(level == 1) for level in classes.values()))
    return float(np.mean(matched))


@pytest.mark.parametrize(
    ("width", "height", "median"),
    [
        pytest.param((0.7, 1.0), (0.7, 1.0), (640, 480), id="fills-the-image"),
        pytest.param((0.3, 0.9), (0.06, 0.1), (640, 480), id="wide"),
        pytest.param((0.06, 0.15), (0.06, 0.15), (160, 120), id="small"),
    ],
)
@pytest.mark.parametrize("preset", ["retinanet_resnet10_320", "retinanet_efficientnet_lite0_256"])
def test_labeler_finds_an_anchor_for_98_of_100_boxes(preset, width, height, median):
    sample = draw_boxes(1000, width, height, seed=0)
    plan = resolve(TrainSpec(preset=preset), 100, median, TrainBoxes(sample, 1000))
    assert matched_share(plan, draw_boxes(300, width, height, seed=1)) >= 0.98


@pytest.mark.parametrize("name", ["bccd", "raccoon"])
def test_labeler_finds_an_anchor_for_98_of_100_boxes_of_a_real_dataset(name, tmp_path):
    if not (REAL / name).is_dir():
        pytest.skip(f"{REAL / name} is not there")
    store = FolderStore(tmp_path)
    spec = {"dataset": {"source": str(REAL / name)}, "train": {"imageSize": 384}}
    run = TrainingRun.model_validate({"metadata": {"name": name}, "spec": spec})
    dataset = ingest(StageParams(run, 0, tmp_path), store).dataset
    boxes = read_train_boxes(store, read_document(store, keys.manifest(dataset), DatasetManifest))
    plan = Plan.parse(store.read(keys.plan(name)))
    assert matched_share(plan, list(boxes.sample)[:300]) >= 0.98


def test_plan_of_an_older_version_has_the_presets_anchors():
    model = pipeline_config(small_plan(), 1, 8, None).task.model
    assert (model.min_level, model.max_level, model.anchor.anchor_size) == (3, 6, 2.5)
    assert (model.anchor.num_scales, model.anchor.aspect_ratios) == (2, [0.5, 1.0, 2.0])
