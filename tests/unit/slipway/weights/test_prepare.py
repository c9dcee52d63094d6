"""The check of an initial checkpoint before ingest, and the copy that is trained from."""

import pytest

from slipway.artifacts.checkpoints import Checkpoints
from slipway.errors import InputError, SpecError
from slipway.run.from_data.anchor_coverage import Anchors
from slipway.run.presets import load_preset
from slipway.store.folder import FolderStore
from slipway.store.interface import list_keys
from slipway.weights import prepare
from slipway.weights.prepare import PreparedWeights, prepare_weights
from slipway.weights.stored import content_digest, find_kept
from tests.fakes.checkpoints import preset_modules, write_checkpoint
from tests.fakes.plans import small_plan

SMALL = load_preset("retinanet_resnet10_320")
FINE = Anchors(min_level=2, max_level=6, anchor_size=2.0, num_scales=2, aspect_ratios=(1.0, 2.0))
BEST = b'{"step": 40, "split": "test", "chosen_on": "test", "metrics": {"AP": 0.5, "AP50": 0.8}}'


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


def write_run(store, folder, preset=SMALL.name, **plan):
    """Write a run of the labels mast and sail."""
    write_checkpoint(folder / "ckpt-40", {**preset_modules(preset), "head": [(3, 3)]})
    Checkpoints(store, "runs/ponds/evaluate/best").publish(40, sorted(folder.glob("ckpt-40.*")))
    store.write("runs/ponds/evaluate/best.json", BEST)
    store.write("runs/ponds/ingest/result.json", b'{"dataset": "datasets/ponds/ab", "labels": ["mast", "sail"]}')
    store.write("runs/ponds/ingest/resolved.yaml", small_plan(preset=preset, **plan).dump())


def test_fitting_weights_are_kept_under_the_digest_of_their_content(store, tmp_path):
    write_checkpoint(tmp_path / "ckpt-5", {"backbone": preset_modules(SMALL.name)["backbone"]})
    weights = prepare_weights(str(tmp_path / "ckpt-5"), SMALL, store, tmp_path)
    digest = content_digest(tmp_path / "ckpt-5")
    assert weights == PreparedWeights(str(tmp_path / "ckpt-5"), digest, ("backbone",))
    assert {key.split("/")[2] for key in list_keys(store)} == {digest}


def test_weights_that_do_not_fit_are_named_in_one_line_and_not_kept(store, tmp_path):
    write_checkpoint(tmp_path / "ckpt-5", {"backbone": preset_modules("retinanet_resnet50_640")["backbone"]})
    with pytest.raises(
        InputError, match=r"^initial checkpoint .*ckpt-5: its backbone is not that of preset"
    ) as refused:
        prepare_weights(str(tmp_path / "ckpt-5"), SMALL, store, tmp_path)
    assert "\n" not in str(refused.value)
    assert list(list_keys(store)) == []


def test_package_is_checked_without_being_installed(store, tmp_path):
    name = "imagenet-efficientnet-lite0"
    weights = prepare_weights(name, load_preset("retinanet_efficientnet_lite0_256"), store, tmp_path)
    assert (weights.sha256[:8], weights.modules) == ("57934424", ("backbone",))
    with pytest.raises(InputError, match="initial checkpoint imagenet-efficientnet-lite0: its backbone is not that of"):
        prepare_weights(name, SMALL, store, tmp_path)


def test_archive_is_remembered_under_its_address(store, tmp_path, monkeypatch):
    write_checkpoint(tmp_path / "ckpt-5", preset_modules(SMALL.name))
    monkeypatch.setattr(prepare, "fetch_weights", lambda *_: tmp_path / "ckpt-5")
    weights = prepare_weights("https://example.org/w.tar.gz", SMALL, store, tmp_path)
    kept = find_kept(store, "https://example.org/w.tar.gz")
    assert (kept.sha256, kept.user) == (weights.sha256, "")
    assert kept.bytes == sum(file.stat().st_size for file in tmp_path.glob("ckpt-5.*"))


def test_backbone_and_decoder_of_a_run_are_taken_whatever_the_preset_takes(store, tmp_path):
    write_run(store, tmp_path / "run")
    weights = prepare_weights("run:ponds", SMALL, store, tmp_path)
    assert (weights.modules, weights.run.labels) == (("backbone", "decoder"), ("mast", "sail"))


@pytest.mark.parametrize(
    ("labels", "modules", "reason"),
    [
        (("mast", "sail"), ("backbone", "decoder", "head"), "that run has the same classes"),
        (("sail", "mast"), ("backbone", "decoder"), "that run has other classes"),
    ],
    ids=["same", "other-order"],
)
def test_head_of_a_run_is_taken_if_the_classes_are_the_same(store, tmp_path, labels, modules, reason):
    write_run(store, tmp_path / "run")
    plan = prepare_weights("run:ponds", SMALL, store, tmp_path).added_to(small_plan(reasons={"steps": "short"}), labels)
    assert plan.initial_checkpoint_modules == modules
    assert plan.reasons["initial_checkpoint_modules"] == reason
    assert plan.reasons["steps"] == "short"
    assert len(plan.initial_checkpoint_sha256) == 64


def test_anchors_of_a_run_are_taken_with_its_weights(store, tmp_path):
    write_run(store, tmp_path / "run", anchors=FINE)
    weights = prepare_weights("run:ponds", SMALL, store, tmp_path)
    plan = weights.added_to(small_plan(anchors=SMALL.anchors), ("duck",))
    assert (plan.anchors, plan.reasons["anchors"]) == (FINE, "those that its weights were trained with")
    asked = small_plan(anchors=SMALL.anchors, overrides={"task.model.anchor.num_scales": 3})
    assert weights.added_to(asked, ("duck",)).anchors == SMALL.anchors
    with pytest.raises(SpecError, match=r"train.imageSize is 96, the anchors of run ponds need a multiple of 64"):
        weights.added_to(small_plan(image_size=96), ("duck",))


def test_run_of_another_preset_is_refused_and_its_preset_is_named(store, tmp_path):
    write_run(store, tmp_path / "run", preset="retinanet_mobilenetv2_320")
    with pytest.raises(
        InputError, match="run ponds was trained with preset retinanet_mobilenetv2_320: ask for the same"
    ):
        prepare_weights("run:ponds", SMALL, store, tmp_path)
