"""Every key in the store; `docs/architecture.md` draws the tree."""

KEPT_WEIGHTS = "checkpoints/addresses"


def upload(id: str) -> str:
    """The folder of a dataset's files as a client sent them; nothing reads it before `upload_listing` exists."""
    return f"uploads/{id}"


def upload_listing(id: str) -> str:
    """Written after the upload's files: present means complete."""
    return f"uploads/{id}.json"


def incoming(id: str) -> str:
    """The folder of an archive that is still being sent, or unpacked."""
    return f"incoming/{id}"


def incoming_archive(id: str) -> str:
    """The description of the archive; written before its parts."""
    return f"incoming/{id}/archive.json"


def incoming_part(id: str, number: int) -> str:
    return f"incoming/{id}/{number:05d}.part"


def blob(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def dataset(name: str, sha256: str) -> str:
    return f"datasets/{name}/{sha256}"


def manifest(dataset: str) -> str:
    return f"{dataset}/manifest.json"


def label_map(folder: str) -> str:
    return f"{folder}/label_map.pbtxt"


def data_report(dataset: str, extension: str) -> str:
    return f"{dataset}/report.{extension}"


def annotations(dataset: str, split: str, shard: int, num_shards: int) -> str:
    return f"{dataset}/annotations/{shard_name(split, shard, num_shards)}.jsonl"


def shard_name(split: str, shard: int, num_shards: int) -> str:
    return f"{split}-{shard:05d}-of-{num_shards:05d}"


def records(dataset_sha256: str, recipe_sha256: str) -> str:
    return f"records/{dataset_sha256}/{recipe_sha256}"


def table(records: str, split: str) -> str:
    return f"{records}/{split}.csv"


def shard(records: str, split: str, shard: int, num_shards: int) -> str:
    return f"{records}/{shard_name(split, shard, num_shards)}.tfrecord"


def part(records: str, split: str, shard: int, num_shards: int) -> str:
    return f"{records}/parts/{shard_name(split, shard, num_shards)}.json"


def initial_checkpoint(sha256: str) -> str:
    return f"checkpoints/initial/{sha256}"


def kept_weights(address_sha256: str) -> str:
    """The digest of the initial checkpoint that a name or an address means."""
    return f"{KEPT_WEIGHTS}/{address_sha256}.json"


def run_folder(run: str) -> str:
    return f"runs/{run}"


def run(run: str) -> str:
    return f"runs/{run}/run.json"


def record(run: str) -> str:
    return f"runs/{run}/record.json"


def blueprints(sha256: str) -> str:
    """The blueprints of a run's Jobs; a run keeps those that it began with."""
    return f"blueprints/{sha256}.yaml"


def stage(run: str, stage: str) -> str:
    return f"runs/{run}/{stage}"


def result(run: str, stage: str) -> str:
    return f"runs/{run}/{stage}/result.json"


def failure(run: str, stage: str) -> str:
    return f"runs/{run}/{stage}/failure.json"


def plan(run: str) -> str:
    return f"runs/{run}/ingest/resolved.yaml"


def faults(run: str) -> str:
    """Written only when a source is refused: all of its faults."""
    return f"runs/{run}/ingest/faults.json"


def pipeline_config(run: str) -> str:
    return f"runs/{run}/train/pipeline.yaml"


def restored_weights(run: str) -> str:
    """Written before the first step of a training that starts from a checkpoint."""
    return f"runs/{run}/train/weights.json"


def progress(run: str) -> str:
    return f"runs/{run}/train/progress.jsonl"


def checkpoint(folder: str, step: int) -> str:
    """The prefix of a checkpoint's files, `….index` and `….data-*`."""
    return f"{folder}/ckpt-{step}"


def checkpoint_listing(folder: str, step: int) -> str:
    """Written after the checkpoint's files: present means complete."""
    return f"{folder}/ckpt-{step}.json"


def metrics(run: str) -> str:
    return f"runs/{run}/evaluate/metrics.jsonl"


def best(run: str) -> str:
    return f"runs/{run}/evaluate/best.json"


def best_checkpoint(run: str) -> str:
    return f"runs/{run}/evaluate/best"


def verdict(run: str) -> str:
    return f"runs/{run}/evaluate/verdict.json"


def curves(run: str) -> str:
    return f"runs/{run}/evaluate/curves.json"


def error_analysis(run: str) -> str:
    return f"runs/{run}/evaluate/errors.json"


def saved_model(run: str) -> str:
    return f"runs/{run}/export/saved_model"


def export_manifest(run: str) -> str:
    return f"runs/{run}/export/manifest.json"


def detections(run: str) -> str:
    return f"runs/{run}/detect/detections.json"


def drawn_image(run: str, filename: str) -> str:
    return f"runs/{run}/detect/{filename}"


def logs(run: str) -> str:
    return f"runs/{run}/logs"


def log(run: str, stage: str, attempt: int, member: str, segment: int) -> str:
    return f"{logs(run)}/{stage}/{attempt}/{member}-{segment:04d}.log"


def snapshot(run: str, stage: str, index: int) -> str:
    """The latest metrics of a process of a stage."""
    return f"runs/{run}/metrics/{stage}-{index}.json"


def report(run: str) -> str:
    return f"runs/{run}/report.html"


def learning_curve(run: str) -> str:
    """AP on shares of the run's images; only of a run with `--learning-curve`."""
    return f"runs/{run}/learning_curve.json"


def sweep(name: str) -> str:
    """The runs of a `slipway sweep`, and the best of them."""
    return f"sweeps/{name}/sweep.json"


def index(started_at: str, run: str) -> str:
    return f"index/runs/{started_at}-{run}"


def ingest_lock(id: str) -> str:
    """Exists while an ingest runs."""
    return f"locks/ingest/{id}"


def sweep_lock() -> str:
    """Exists while a sweep removes blobs and datasets."""
    return "locks/sweep"
