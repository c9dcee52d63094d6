"""Ultralytics' smallest YOLOs from scratch, as `python ultralytics_yolo.py --model yolo11n …` in their own environment.

A process of its own that imports nothing of Slipway, and that Slipway does not import: Ultralytics is under the AGPL.
Everything is Ultralytics' default except: batch 8 with `nbs=8` (with the default of 64 a short training has too few
updates, and ends lower), no pretrained weights, no mixed precision (a GPU's), and no plots. The best checkpoint is the
one that Ultralytics keeps as `best.pt`.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median

_LOWEST_SCORE = 0.001
_MOST_DETECTIONS = 100  # per image, as COCO counts


class Clock:
    """Times of the epochs, by the trainer's callbacks."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.train_secs: list[float] = []
        self.epoch_secs: list[float] = []

    def start_epoch(self, trainer) -> None:
        self.starts.append(time.monotonic())

    def end_training(self, trainer) -> None:
        self.train_secs.append(time.monotonic() - self.starts[-1])

    def end_epoch(self, trainer) -> None:
        """End an epoch after its evaluation; the evaluation of the best checkpoint after the last epoch is none."""
        if len(self.epoch_secs) < len(self.starts):
            self.epoch_secs.append(time.monotonic() - self.starts[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a YOLO of Ultralytics from scratch; see budgeted.py.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True, help="data.yaml")
    parser.add_argument("--out", type=Path, required=True)
    for name in ("--image-size", "--batch", "--seed", "--units", "--evaluations"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(options.out)}

    from ultralytics import YOLO

    clock, model = Clock(), YOLO(f"{options.model}.yaml")
    model.add_callback("on_train_epoch_start", clock.start_epoch)
    model.add_callback("on_train_epoch_end", clock.end_training)
    model.add_callback("on_fit_epoch_end", clock.end_epoch)
    model.train(
        data=str(options.data),
        epochs=options.units,
        imgsz=options.image_size,
        batch=options.batch,
        nbs=options.batch,
        seed=options.seed,
        pretrained=False,
        amp=False,
        device="cpu",
        plots=False,
        project=str(options.out),
        name="training",
    )
    best = YOLO(options.out / "training/weights/best.pt")
    images = len(list((options.data.parent / "images/train").iterdir()))
    report = {
        "units": len(clock.epoch_secs),
        "unit_sec": median(clock.epoch_secs[1:] or clock.epoch_secs),
        "images_per_sec": round(images / median(clock.train_secs[1:] or clock.train_secs), 1),
        "detections": detect(best, options.data.parent / "images/test", options.image_size),
    }
    (options.out / "report.json").write_text(json.dumps(report))


def detect(model, folder: Path, image_size: int) -> list[list[float]]:
    """Return [source id, class id from 1, xmin, ymin, xmax, ymax, score] of each detection, in pixels of the image."""
    detections = []
    for path in sorted(folder.iterdir()):
        (result,) = model.predict(
            str(path), imgsz=image_size, conf=_LOWEST_SCORE, max_det=_MOST_DETECTIONS, device="cpu", verbose=False
        )
        for box in result.boxes:
            corners, score = box.xyxy[0].tolist(), float(box.conf)
            detections.append([int(path.stem), int(box.cls) + 1, *corners, score])
    return detections


if __name__ == "__main__":
    main()
