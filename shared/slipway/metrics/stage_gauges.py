"""The gauges of all stages; `docs/reference.md` lists every metric of every process."""

import time

from slipway.metrics.registry import StageGauge

_WORD = "[a-z][a-z0-9_-]{0,39}"

PROGRESS_TIME = StageGauge("slipway_stage_progress_timestamp_seconds", "Time of the stage's last progress.", "max")

DATASET_IMAGES = StageGauge("slipway_dataset_images", "Images of the run's dataset.", split=_WORD)
DATASET_FINDINGS = StageGauge(
    "slipway_dataset_findings",
    "Findings in the run's dataset: error cannot be used, warning should be checked, info was repaired.",
    code=_WORD,
    severity="error|warning|info",
)

RECORDS = StageGauge("slipway_records_written", "Records written by this run.", "sum")
RECORDS_RATE = StageGauge("slipway_records_per_second", "Records per second of the current or last shard.", "sum")

TRAINING_STEP = StageGauge("slipway_training_step", "Global step.")
TRAINING_STEPS = StageGauge("slipway_training_steps", "Global step at which the training ends.")
TRAINING_LOSS = StageGauge("slipway_training_loss", "Total loss, a mean over the last few steps; may be NaN or Inf.")
TRAINING_RATE = StageGauge("slipway_training_learning_rate", "Learning rate.")
TRAINING_SPEED = StageGauge(
    "slipway_training_images_per_second", "Images per second of all workers, over the last few steps."
)
TRAINING_INPUT_WAIT = StageGauge(
    "slipway_training_input_wait_ratio", "Share of the last few steps' time in which worker 0 waited for a batch."
)
TRAINING_TIME = StageGauge(
    "slipway_training_progress_timestamp_seconds", "Time of the last increment of the global step."
)
CHECKPOINT_STEP = StageGauge("slipway_checkpoint_step", "Global step of the last saved checkpoint.")
CHECKPOINT_TIME = StageGauge("slipway_checkpoint_timestamp_seconds", "Time at which the last checkpoint was saved.")
CHECKPOINT_SECONDS = StageGauge(
    "slipway_checkpoint_save_duration_seconds", "Time to save the last checkpoint and list it in the store."
)

EVALUATION_STEP = StageGauge("slipway_evaluation_step", "Global step of the last measured checkpoint.")
EVALUATION_LAG = StageGauge(
    "slipway_evaluation_lag_steps", "Steps from the last measured checkpoint to the newest listed one."
)
EVALUATION_AP = StageGauge(
    "slipway_evaluation_ap", "AP of the last measured checkpoint, on the split that chooses the best."
)
EVALUATION_AP50 = StageGauge("slipway_evaluation_ap50", "AP50 of the last measured checkpoint, on the same split.")
EVALUATION_BEST_AP = StageGauge("slipway_evaluation_best_ap", "AP of the best checkpoint so far, on the same split.")
EVALUATION_SECONDS = StageGauge("slipway_evaluation_duration_seconds", "Duration of the last measurement.")

EXPORT_BOX_DIFFERENCE = StageGauge(
    "slipway_export_parity_max_box_difference",
    "Largest difference of a box between the export and the measured model, in pixels of the model's input.",
    format=_WORD,
)
EXPORT_SCORE_DIFFERENCE = StageGauge(
    "slipway_export_parity_max_score_difference",
    "Largest difference of a score between the export and the measured model.",
    format=_WORD,
)
EXPORT_BYTES = StageGauge("slipway_export_bytes", "Size of an exported format.", format=_WORD)

GPU_BUSY = StageGauge(
    "slipway_gpu_utilization_ratio",
    "Share of the last sample in which the GPU was busy; `gpu` is worker.number.",
    "sum",
    gpu=r"\d{1,3}\.\d{1,3}",
)
GPU_USED = StageGauge("slipway_gpu_memory_used_bytes", "Memory of the GPU in use.", "sum", gpu=r"\d{1,3}\.\d{1,3}")
GPU_TOTAL = StageGauge("slipway_gpu_memory_total_bytes", "Memory of the GPU.", "sum", gpu=r"\d{1,3}\.\d{1,3}")


def mark_progress() -> None:
    """Record that the stage makes progress; a stage that no longer records any is stuck."""
    PROGRESS_TIME.set(time.time())


GAUGES = tuple(value for value in list(globals().values()) if isinstance(value, StageGauge))
