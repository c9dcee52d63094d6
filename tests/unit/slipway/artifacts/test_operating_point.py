"""Which score thresholds apply to a model, and what is said of a model that is not to be relied on."""

from pathlib import Path

import pytest

from slipway import keys
from slipway.artifacts.evaluation import BestCheckpoint
from slipway.artifacts.export import ExportManifest
from slipway.artifacts.json_io import read_document
from slipway.artifacts.operating_point import OperatingPoints, ScoreThresholds, choose_thresholds
from slipway.store.folder import FolderStore

RATES = {"precision": 0.9, "recall": 0.8, "f1": 0.847}
POINTS = OperatingPoints.model_validate(
    {
        "split": "val",
        "overall": {"threshold": 0.35, **RATES},
        "per_class": [
            {"label": "boat", "boxes": 90, "threshold": 0.5, **RATES},
            {"label": "buoy", "boxes": 4, "is_overall": True, "threshold": 0.35, **RATES},
        ],
        "reported": RATES,
    }
)


def best(ap50=0.8, **fields):
    document = {"step": 10, "split": "test", "chosen_on": "val", "metrics": {"AP": 0.5, "AP50": ap50}, **fields}
    return BestCheckpoint.model_validate(document)


def test_each_label_has_its_threshold_and_a_rare_or_unknown_one_the_overall():
    thresholds = choose_thresholds(None, POINTS)
    assert thresholds == ScoreThresholds(0.35, {"boat": 0.5})
    assert [thresholds.of(label) for label in ("boat", "buoy", "gull")] == [0.5, 0.35, 0.35]


@pytest.mark.parametrize("requested", [0.0, 0.9])
def test_a_requested_threshold_overrides_those_of_all_labels(requested):
    assert choose_thresholds(requested, POINTS) == ScoreThresholds(requested)


def test_documents_of_an_older_version_have_no_points_and_the_old_threshold_applies():
    store = FolderStore(Path(__file__).parents[3] / "fakes" / "documents")
    old_best = read_document(store, keys.best("harbour"), BestCheckpoint)
    manifest = read_document(store, keys.export_manifest("harbour"), ExportManifest)
    assert (old_best.operating_points, old_best.threshold_note, manifest.operating_points) == (None, "", None)
    assert choose_thresholds(None, manifest.operating_points) == ScoreThresholds(0.4)


def test_points_are_written_and_read_again():
    assert BestCheckpoint.model_validate_json(best(operating_points=POINTS).encode()).operating_points == POINTS


@pytest.mark.parametrize("ap50", [0.0, 0.31, 0.499])
def test_a_model_below_half_of_ap50_is_called_unreliable_in_one_sentence(ap50):
    warning = best(ap50).warning
    assert warning.startswith(f"AP50 is {ap50:.2f}, below 0.5: do not rely on this detector")
    assert warning.count(". ") == 0


@pytest.mark.parametrize("ap50", [0.5, 0.97, -1.0], ids=["half", "good", "no-boxes"])
def test_any_other_model_is_not(ap50):
    assert best(ap50).warning == ""


def test_the_note_names_the_split_that_chose_and_the_one_that_was_measured():
    assert best(operating_points=POINTS).threshold_note == (
        "With the score thresholds of the best F1 on val: precision 0.90, recall 0.80, F1 0.85 on test."
    )


def test_the_note_says_that_thresholds_chosen_on_the_measured_images_flatter():
    points = POINTS.model_copy(update={"split": "test"})
    note = best(operating_points=points).threshold_note
    assert note.endswith("F1 0.85 on test, the same images, which flatters them.")
