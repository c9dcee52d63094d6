"""``python -m services.detector.detect_folder``: an export, on any folder of images."""

import argparse
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import EXIT_DONE, InputError, SlipwayError
from slipway.events import event, start_log
from slipway.stage.progress import tracked
from slipway.store.folder import FolderStore

from services.detector.detect import load, to_json
from services.detector.images import drawn, drawn_names, is_image_name, read_image

_DETECTIONS = "detections.json"


@dataclass(frozen=True)
class Options:
    """What was asked.

    Attributes:
      model: An export's folder, or its `saved_model`.
      images: A folder, searched to its depth, or one file.
      out: Where drawn images and `detections.json` go.
      score_threshold: What scores less is neither drawn nor listed.
    """

    model: Path
    images: Path
    out: Path
    score_threshold: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Detect, and return the exit code; what is wrong is said as an event, as every stage says it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options, log_format = _parse(arguments)
    start_log("detect", options.images.name or "images", log_format)
    started = time.monotonic()
    try:
        counts = detect_folder(options)
    except SlipwayError as error:
        event("stage_failed", logging.ERROR, error=str(error))
        return error.exit_code
    event("detected", **counts, duration_sec=round(time.monotonic() - started, 1), out=str(options.out))
    return EXIT_DONE


def detect_folder(options: Options) -> dict[str, int]:
    """Write one drawn JPEG an image, and `detections.json` last.

    Raises:
      InputError: The model or the images are missing, no image could be read, or writing would touch other files.
    """
    if not 0 <= options.score_threshold <= 1:
        raise InputError(f"--score-threshold is {options.score_threshold:g}, expected 0 to 1")
    folder, names, ignored = _images(options.images)
    _check_out(options)
    detector = load(options.model)
    store, out_names = FolderStore(options.out), drawn_names(names)
    rows, found = [], 0
    for name in tracked(names, len(names)):
        try:
            image = read_image((folder / name).read_bytes(), name)
        except (InputError, OSError) as error:
            event("image_skipped", logging.WARNING, file=name, reason=str(error))
            continue
        detections = detector.detect(image, options.score_threshold)
        found += len(detections)
        store.write(out_names[name], drawn(image, detections))
        rows.append({"filename": name, "width": image.width, "height": image.height, "detections": to_json(detections)})
    if not rows:
        raise InputError(f"{options.images}: none of {len(names)} images could be read; each was named above")
    store.write(_DETECTIONS, json.dumps(rows, indent=1).encode() + b"\n")
    return {"images": len(rows), "detections": found, "skipped": len(names) - len(rows), "ignored": ignored}


def _images(place: Path) -> tuple[Path, list[str], int]:
    """Return a folder, the names of the images below it, sorted, and how many other files there are."""
    if place.is_file():
        return place.parent, [place.name], 0
    if not place.is_dir():
        raise InputError(f"{place}: no such file or folder; give an image or a folder of images")
    found = [
        (Path(folder) / name).relative_to(place).as_posix()
        for folder, _, names in os.walk(place)
        for name in names
        if not name.startswith(".")
    ]
    images = sorted(name for name in found if is_image_name(name))
    if not images:
        raise InputError(f"{place}: no images among {len(found)} files; give a folder with .jpg, .png or similar files")
    return place, images, len(found) - len(images)


def _check_out(options: Options) -> None:
    """Make sure that nothing is written but this command's own files."""
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
    parser.add_argument("--score-threshold", type=float, default=0.4, help="lowest score that counts (%(default)s)")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    given = parser.parse_args(arguments)
    return Options(given.model, given.images, given.out, given.score_threshold), given.log_format


if __name__ == "__main__":
    raise SystemExit(main())
