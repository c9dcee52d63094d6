"""LibreYOLO's smallest YOLO from scratch, as `python libreyolo_yolo9.py --model t …` in an environment of its own.

A process of its own that imports nothing of Slipway. Everything is LibreYOLO's default except: batch size, the number
of evaluations, one data loader for each processor (with its eight, two processors are busy changing between them), and
no mixed precision (a GPU's). The best checkpoint is the one that LibreYOLO keeps as its best, and loads after the
training.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from statistics import mean, median

import yaml

_LOWEST_SCORE = 0.001
_MOST_DETECTIONS = 100  # per image, as COCO counts
_IOU = 0.6  # of non-maximum suppression, as in LibreYOLO's own validation


class Clock:
    """Times of the epochs with and without an evaluation, but for the first, which also starts the data loaders."""

    def __init__(self) -> None:
        self.epochs = 0
        self.plain_secs: list[float] = []
        self.evaluated_secs: list[float] = []
        self._end = time.monotonic()

    def on_train_epoch_end(self, event) -> None:
        now = time.monotonic()
        if self.epochs:
            (self.evaluated_secs if event.validated else self.plain_secs).append(now - self._end)
        self.epochs, self._end = self.epochs + 1, now


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a YOLO of LibreYOLO from scratch; see budgeted.py.")
    parser.add_argument("--model", required=True, help="size")
    parser.add_argument("--data", type=Path, required=True, help="data.yaml")
    parser.add_argument("--out", type=Path, required=True)
    for name in ("--image-size", "--batch", "--seed", "--units", "--evaluations"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()

    from libreyolo import LibreYOLO9

    labels = yaml.safe_load(options.data.read_text())["nc"]
    model, clock = LibreYOLO9(None, size=options.model, nb_classes=labels, device="cpu"), Clock()
    model.train(
        data=str(options.data),
        epochs=options.units,
        imgsz=options.image_size,
        batch=options.batch,
        seed=options.seed,
        workers=os.cpu_count() or 1,
        eval_interval=math.ceil(options.units / options.evaluations),
        amp=False,
        device="cpu",
        project=str(options.out),
        name="training",
        callbacks=clock,
    )
    images = len(list((options.data.parent / "images/train").iterdir()))
    epoch_sec = median(clock.plain_secs or clock.evaluated_secs)
    report = {
        "units": clock.epochs,
        "unit_sec": epoch_sec,
        "images_per_sec": round(images / epoch_sec, 1),
        "evaluations": options.evaluations,
        "evaluation_sec": max(0.0, mean(clock.evaluated_secs) - epoch_sec),
        "detections": detect(model, options.data.parent / "images/test", options.image_size),
    }
    (options.out / "report.json").write_text(json.dumps(report))


def detect(model, folder: Path, image_size: int) -> list[list[float]]:
    """Return [source id, class id from 1, xmin, ymin, xmax, ymax, score] of each detection, in pixels of the image."""
    detections = []
    for path in sorted(folder.iterdir()):
        result = model(str(path), imgsz=image_size, conf=_LOWEST_SCORE, iou=_IOU, max_det=_MOST_DETECTIONS)
        boxes = result.boxes
        for corners, score, class_id in zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True):
            detections.append([int(path.stem), int(class_id) + 1, *corners, score])
    return detections


if __name__ == "__main__":
    main()
