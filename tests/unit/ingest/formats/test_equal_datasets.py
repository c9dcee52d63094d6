"""One dataset in every format: the same boxes, the same split and the same class ids as from Pascal VOC."""

from typing import get_args

import pytest

from slipway import keys
from slipway.artifacts.dataset import DataReport, DatasetManifest
from slipway.artifacts.json_io import read_document
from slipway.dataset import annotations
from slipway.run.spec import AnnotationFormatName, TrainingRun
from slipway.stage.runner import StageParams
from slipway.store.folder import FolderStore
from tests.fakes.annotation_files import WRITERS, draw, drawn_images

from services.ingest.formats.detection import FORMATS
from services.ingest.service import ingest

PIXELS = 0.01  # precision of relative coordinates with six decimals, in images of less than 100 pixels


def ingested(tmp_path, format):
    """Return the labels, the images by split, and the findings of the drawn dataset in a format."""
    source = tmp_path / format / "drawn"
    draw(source, drawn_images())
    WRITERS[format](source, drawn_images())
    store = FolderStore(tmp_path / format / "store")
    run = TrainingRun.model_validate({"metadata": {"name": "r"}, "spec": {"dataset": {"source": str(source)}}})
    dataset = ingest(StageParams(run, 0, tmp_path), store).dataset
    manifest = read_document(store, keys.manifest(dataset), DatasetManifest)
    images = {
        split: [image for key in manifest.annotation_keys(split) for image in annotations.parse(store.read(key))]
        for split in manifest.splits
    }
    return manifest, images, read_document(store, keys.data_report(dataset, "json"), DataReport)


@pytest.mark.parametrize("format", [name for name in WRITERS if name != "voc"])
def test_each_format_gives_the_boxes_split_and_class_ids_of_voc(tmp_path, format):
    voc_manifest, voc_images, _ = ingested(tmp_path, "voc")
    manifest, images, report = ingested(tmp_path, format)
    assert manifest.labels == voc_manifest.labels == ("Anchor chain", "buoy", "ship")
    assert {split: len(rows) for split, rows in images.items()} == {"train": 8, "test": 4}
    for split, rows in images.items():
        for image, voc_image in zip(rows, voc_images[split], strict=True):
            assert (image.sha256, image.size, image.source_id) == (
                voc_image.sha256,
                voc_image.size,
                voc_image.source_id,
            )
            assert [box.label for box in image.boxes] == [box.label for box in voc_image.boxes]
            for box, voc_box in zip(image.boxes, voc_image.boxes, strict=True):
                assert box.box == pytest.approx(voc_box.box, abs=PIXELS)
    assert report.counts == {}


def test_each_format_has_a_writer_here_and_a_name_in_the_spec():
    names = [format.name for format in FORMATS]
    assert sorted(WRITERS) == sorted(names)
    assert list(get_args(AnnotationFormatName)) == names
