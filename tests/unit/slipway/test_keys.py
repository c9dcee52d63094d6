import inspect

import pytest

from slipway import keys

SHA = "ab" * 32


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.blob(SHA), f"blobs/ab/{SHA}"),
        (keys.manifest(keys.dataset("ponds", SHA)), f"datasets/ponds/{SHA}/manifest.json"),
        (keys.label_map(keys.dataset("ponds", SHA)), f"datasets/ponds/{SHA}/label_map.pbtxt"),
        (keys.data_report("d", "html"), "d/report.html"),
        (keys.annotations("d", "train", 0, 2), "d/annotations/train-00000-of-00002.jsonl"),
        (keys.shard("r", "test", 11, 12), "r/test-00011-of-00012.tfrecord"),
        (keys.part("r", "test", 11, 12), "r/parts/test-00011-of-00012.json"),
        (keys.table("r", "val"), "r/val.csv"),
        (keys.records("d", "r"), "records/d/r"),
        (keys.run("a"), "runs/a/run.json"),
        (keys.result("a", "train"), "runs/a/train/result.json"),
        (keys.failure("a", "train"), "runs/a/train/failure.json"),
        (keys.plan("a"), "runs/a/ingest/resolved.yaml"),
        (keys.checkpoint_listing(keys.stage("a", "train"), 20), "runs/a/train/ckpt-20.json"),
        (keys.best("a"), "runs/a/evaluate/best.json"),
        (keys.saved_model("a"), "runs/a/export/saved_model"),
        (keys.drawn_image("a", "x.jpg"), "runs/a/detect/x.jpg"),
        (keys.log("a", "train", 2, "train-0", 3), "runs/a/logs/train/2/train-0-0003.log"),
        (keys.report("a"), "runs/a/report.html"),
        (keys.error_analysis("a"), "runs/a/evaluate/errors.json"),
        (keys.index("20260131T120000Z", "a"), "index/runs/20260131T120000Z-a"),
    ],
)
def test_the_key_is(key, expected):
    assert key == expected


def test_no_two_keys_of_a_run_are_the_same():
    of_a_run = [
        f for _, f in inspect.getmembers(keys, inspect.isfunction) if list(inspect.signature(f).parameters) == ["run"]
    ]
    spelled = [function("a") for function in of_a_run]
    assert len(set(spelled)) == len(spelled) > 10
