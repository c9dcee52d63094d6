"""``python -m services.detector.detect_folder``: detects with an export in a folder of images."""

import argparse
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from slipway.artifacts.detections import Detections, ImageDetections
from slipway.artifacts.json_io import write_document
from slipway.artifacts.operating_point import ScoreThresholds, choose_thresholds
from slipway.errors import EXIT_DONE, InputError, SlipwayError
from slipway.events import event, start_log
from slipway.stage.progress import tracked
from slipway.store.folder import FolderStore

from services.detector.detect import load, read_operating_points, to_document
from services.detector.images import draw_detections, drawn_names, is_image_name, read_image

_DETECTIONS = "detections.json"


@dataclass(frozen=True)
class Options:
    """Options of the command.

    Attributes:
      model: An export's folder, or its `saved_model`.
      images: A folder, which is searched with its subfolders, or one file.
      out: Folder for drawn images and `detections.json`.
      score_threshold: Detections with a lower score are neither drawn nor listed; None for the model's own thresholds.
    """

    model: Path
    images: Path
    out: Path
    score_threshold: float | None


@dataclass(frozen=True)
class ImageFolder:
    """The images below a folder.

    Attributes:
      names: Relative to the folder, sorted.
      ignored_files: Number of other files.
    """

    folder: Path
    names: Sequence[str]
    ignored_files: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Detect, and return the exit code; an error is logged as an event, as in every stage."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options, log_format = _parse(arguments)
    start_log("detect", options.images.name or "images", log_format)
    start_time = time.monotonic()
    try:
        counts = detect_folder(options)
    except SlipwayError as error:
        event("stage_failed", logging.ERROR, error=str(error))
        return error.exit_code
    event("detected", **counts, duration_sec=round(time.monotonic() - start_time, 1), out=str(options.out))
    return EXIT_DONE


def detect_folder(options: Options) -> dict[str, int]:
    """Write a drawn JPEG for each image, and `detections.json` last; return the counts for the log.

    Raises:
      InputError: The model or the images are missing, no image could be read, or other files could be overwritten.
    """
    if options.score_threshold is not None and not 0 <= options.score_threshold <= 1:
        raise InputError(f"--score-threshold is {options.score_threshold:g}, expected 0 to 1")
    images = _list_images(options.images)
    _check_out(options)
    detector, thresholds = load(options.model), _choose_thresholds(options)
    store, out_names = FolderStore(options.out), drawn_names(images.names)
    rows = []
    for name in tracked(images.names, len(images.names)):
        image = _read_or_skip(images.folder, name)
        if image is None:
            continue
        detections = detector.detect(image, thresholds)
        store.write(out_names[name], draw_detections(image, detections))
        boxes = to_document(detections)
        rows.append(ImageDetections(filename=name, width=image.width, height=image.height, detections=boxes))
    if not rows:
        raise InputError(f"{options.images}: none of {len(images.names)} images could be read; each was named above")
    write_document(store, _DETECTIONS, Detections(tuple(rows)))
    return {
        "images": len(rows),
        "detections": sum(len(row.detections) for row in rows),
        "skipped": len(images.names) - len(rows),
        "ignored": images.ignored_files,
    }


def _choose_thresholds(options: Options) -> ScoreThresholds:
    """Return the threshold of the command, or those of the model; its manifest is read only for the latter."""
    is_given = options.score_threshold is not None
    return choose_thresholds(options.score_threshold, None if is_given else read_operating_points(options.model))


def _read_or_skip(folder: Path, name: str) -> Image | None:
    try:
        return read_image((folder / name).read_bytes(), name)
    except (InputError, OSError) as error:
        event("image_skipped", logging.WARNING, file=name, reason=str(error))
        return None


def _list_images(path: Path) -> ImageFolder:
    if path.is_file():
        return ImageFolder(path.parent, [path.name])
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; give an image or a folder of images")
    files = [
        (Path(folder) / name).relative_to(path).as_posix()
        for folder, _, names in os.walk(path)
        for name in names
        if not name.startswith(".")
    ]
    images = sorted(name for name in files if is_image_name(name))
    if not images:
        raise InputError(f"{path}: no images among {len(files)} files; give a folder with .jpg, .png or similar files")
    return ImageFolder(path, images, len(files) - len(images))


def _check_out(options: Options) -> None:
    """Check that the output folder has no files but those of an earlier call. Raises `InputError`."""
    out, images = options.out.resolve(), options.images.resolve()
    if images.is_dir():
        is_mixed = out == images or out in images.parents or images in out.parents
    else:
        is_mixed = out == images.parent
    if is_mixed:
        raise InputError(f"{options.out}: is in the same place as the images ({options.images}); choose another --out")
    if out.exists() and not out.is_dir():
        raise InputError(f"{options.out}: is a file; choose a folder for --out")
    if out.is_dir() and any(out.iterdir()) and not (out / _DETECTIONS).is_file():
        raise InputError(f"{options.out}: holds other files, which drawn images might replace; choose another --out")


def _parse(arguments: Sequence[str] | None) -> tuple[Options, str]:
    parser = argparse.ArgumentParser(prog="python -m services.detector.detect_folder", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="export folder, or the saved_model folder in it")
    parser.add_argument("--images", type=Path, required=True, help="folder of images, or one image")
    parser.add_argument("--out", type=Path, required=True, help="folder for drawn images and detections.json")
    parser.add_argument("--score-threshold", type=float, help="lowest score that counts (the model's own)")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    values = parser.parse_args(arguments)
    return Options(values.model, values.images, values.out, values.score_threshold), values.log_format


if __name__ == "__main__":
    raise SystemExit(main())
