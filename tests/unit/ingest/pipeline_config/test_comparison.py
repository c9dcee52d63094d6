from slipway.artifacts.dataset import SplitCounts
from slipway.dataset.labels import LabelMap
from tests.fakes.pipeline_configs import SSD_CONFIG
from tests.fakes.plans import small_plan

from services.ingest.pipeline_config.comparison import Counterparts, compare_config
from services.ingest.pipeline_config.messages import parse_pipeline
from services.ingest.pipeline_config.source_config import SourceConfig

SPLITS = {"train": SplitCounts(images=54, boxes=60), "test": SplitCounts(images=6, boxes=7)}
LABEL_MAP = LabelMap(("ship", "buoy"))
REASONS = {"steps": "80 epochs", "learning_rate": "the preset's", "augment_flip": "labels tell left from right"}
PLAN = {"image_size": 320, "batch_size": 8, "steps": 500, "checkpoint_every": 50, "learning_rate": 0.002}


def compare(text=SSD_CONFIG, labels=("ship", "buoy"), label_map=LABEL_MAP, **plan):
    pipeline = parse_pipeline(text.encode(), "training/ssd.config")
    config = SourceConfig("training/ssd.config", pipeline, label_map, "annotations/label_map.pbtxt")
    plan = small_plan(**{**PLAN, "preset": "retinanet_resnet10_320", "reasons": REASONS, **plan})
    return compare_config(config, Counterparts(plan, labels, SPLITS)).fields


def outcomes(fields):
    return [(row.field, row.value, row.outcome_text) for row in fields]


def test_every_field_that_the_tutorial_edits_has_its_counterpart():
    assert outcomes(compare()) == [
        ("ssd.num_classes", "2", "taken over"),
        ("ssd.feature_extractor.type", "ssd_inception_v2", "replaced by retinanet_resnet10_320"),
        ("ssd.image_resizer", "300 × 300", "replaced by 320 × 320"),
        ("train_config.batch_size", "24", "replaced by 8"),
        ("train_config.num_steps", "200000", "replaced by 500"),
        (
            "train_config.rms_prop_optimizer.learning_rate",
            "0.004 (exponential_decay_learning_rate)",
            "replaced by 0.002",
        ),
        ("train_config.fine_tune_checkpoint", "pre-trained-model/model.ckpt", "replaced by none"),
        ("train_config.from_detection_checkpoint", "true", "has no counterpart"),
        ("train_config.data_augmentation_options", "random_horizontal_flip", "taken over"),
        ("train_config.data_augmentation_options", "ssd_random_crop", "replaced by scale 0.7 to 1.5"),
        ("train_input_reader.input_path", "annotations/train.record", "replaced by records of train"),
        ("eval_input_reader.input_path", "annotations/test.record", "replaced by records of test"),
        ("label_map_path", "annotations/label_map.pbtxt", "taken over"),
        ("eval_config.num_examples", "6", "taken over"),
        ("eval_config.max_evals", "10", "taken over"),
    ]


def test_every_row_has_a_reason_and_one_of_the_plan_ends_with_the_option():
    rows = {row.field: row for row in compare()}
    assert [row.field for row in rows.values() if not row.reason] == []
    assert rows["train_config.num_steps"].reason == "80 epochs; --steps chooses another length"


def test_fields_of_the_tf2_edition_are_compared_too():
    text = """
model { faster_rcnn { num_classes: 3 image_resizer {
  keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 } } } }
train_config { fine_tune_checkpoint_version: V2 fine_tune_checkpoint_type: "detection"
  optimizer { momentum_optimizer { learning_rate { cosine_decay_learning_rate {
    learning_rate_base: .04 total_steps: 25000 } } } }
  data_augmentation_options { random_distort_color { } }
  data_augmentation_options { random_rgb_to_gray { } }
  data_augmentation_options { random_fog { } } }
"""
    assert outcomes(compare(text)) == [
        ("faster_rcnn.num_classes", "3", "replaced by 2"),
        (
            "faster_rcnn.image_resizer",
            "600 to 1024, keeping the aspect ratio",
            "replaced by 320 × 320, keeping the aspect ratio",
        ),
        ("train_config.momentum_optimizer.learning_rate", "0.04 (cosine_decay_learning_rate)", "replaced by 0.002"),
        ("train_config.fine_tune_checkpoint_type", "detection", "has no counterpart"),
        ("train_config.data_augmentation_options", "random_distort_color", "replaced by colour 0"),
        ("train_config.data_augmentation_options", "random_rgb_to_gray", "has no counterpart"),
        ("train_config.data_augmentation_options", "a step that is not known", "has no counterpart"),
    ]


def test_a_flip_that_the_labels_forbid_is_not_taken_over():
    row = next(row for row in compare(augment_flip=False) if row.value == "random_horizontal_flip")
    assert (row.outcome_text, row.reason) == ("replaced by no mirrored images", "labels tell left from right")


def test_a_label_map_with_other_ids_is_not_taken_over():
    row = next(row for row in compare(label_map=LabelMap(("buoy", "ship"))) if row.field == "label_map_path")
    assert row.outcome_text == "replaced by the label map of ship, buoy"
    assert row.reason == "annotations/label_map.pbtxt has other labels or ids"


def test_a_config_with_a_fault_has_no_fields():
    config = compare_config(SourceConfig("a.config", fault="is empty"), Counterparts(small_plan(), ("ship",), SPLITS))
    assert (config.file, config.fault, config.fields) == ("a.config", "is empty", ())
