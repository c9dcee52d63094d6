"""The places that an initial checkpoint comes from; tests of buckets are in tests/contract."""

import functools
import hashlib
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway import keys
from slipway.artifacts.checkpoints import Checkpoints
from slipway.errors import InputError, TransientError
from slipway.store.folder import FolderStore
from slipway.store.interface import upload_all
from slipway.weights.sources import fetch_weights, named_errors
from slipway.weights.stored import content_digest
from tests.fakes.checkpoints import write_checkpoint

BEST = b'{"step": 40, "split": "test", "chosen_on": "test", "metrics": {"AP": 0.5, "AP50": 0.8}}'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def prefix(tmp_path):
    write_checkpoint(tmp_path / "weights" / "ckpt-5", {"backbone": [(3, 3)]})
    return tmp_path / "weights" / "ckpt-5"


@pytest.fixture
def server(tmp_path, prefix):
    (tmp_path / "served").mkdir()
    with tarfile.open(tmp_path / "served" / "weights.tar.gz", "w:gz") as tar:
        tar.add(prefix.parent, "w")
    handler = functools.partial(Quiet, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_folder_and_path_without_suffix_are_the_local_checkpoint(store, scratch, prefix):
    assert fetch_weights(str(prefix.parent), store, scratch) == prefix
    assert fetch_weights(str(prefix), store, scratch) == prefix


@pytest.mark.parametrize("address", ["/nowhere/weights", "/", "weights.d", "ckpt-5.index"])
def test_nothing_there_is_refused(store, scratch, address):
    with pytest.raises(InputError, match=r"found no \.index file, expected one checkpoint"):
        fetch_weights(address, store, scratch)


def test_name_that_neither_store_nor_disk_have_is_refused(store, scratch):
    with pytest.raises(InputError, match="has no weights of that name, and there is no such folder"):
        fetch_weights("coco-r50", store, scratch)


def test_archive_is_fetched_and_removed(store, scratch, prefix, server):
    path = fetch_weights(f"{server}/weights.tar.gz", store, scratch)
    assert path == scratch / "initial" / "w" / "ckpt-5"
    assert content_digest(path) == content_digest(prefix)
    assert [file.name for file in scratch.iterdir()] == ["initial"]


def test_archive_that_was_put_into_the_store_by_hand_is_not_fetched(store, scratch, prefix):
    address = "https://example.org/weights.tar.gz"
    upload_all(store, prefix.parent, keys.initial_checkpoint(hashlib.sha256(address.encode()).hexdigest()))
    assert content_digest(fetch_weights(address, store, scratch)) == content_digest(prefix)


def test_best_checkpoint_of_a_run_is_fetched(store, scratch, prefix):
    write_checkpoint(prefix.with_name("ckpt-40"), {"backbone": [(1, 1)]})
    files = sorted(prefix.parent.glob("ckpt-40.*"))
    Checkpoints(store, "runs/ponds/evaluate/best").publish(40, files)
    store.write("runs/ponds/evaluate/best.json", BEST)
    path = fetch_weights("run:ponds", store, scratch)
    assert content_digest(path) == content_digest(prefix.with_name("ckpt-40"))


def test_run_without_a_measured_checkpoint_is_refused(store, scratch):
    with pytest.raises(InputError, match="has no run ponds whose checkpoints were measured"):
        fetch_weights("run:ponds", store, scratch)
    for name in ("", "../ponds", "a/b"):
        with pytest.raises(InputError, match="is not the name of a run"):
            fetch_weights(f"run:{name}", store, scratch)


def test_best_checkpoint_that_was_just_replaced_is_tried_again(store, scratch):
    store.write("runs/ponds/evaluate/best.json", BEST)
    with pytest.raises(TransientError, match="checkpoint 40 of run ponds was just removed; try again"):
        fetch_weights("run:ponds", store, scratch)


@pytest.mark.parametrize("address", ["ftp://host/w.tar.gz", "http://example.org/w.tar.gz", "gs://bucket/w"])
def test_other_schemes_are_refused(store, scratch, address):
    with pytest.raises(InputError, match="use https://"):
        fetch_weights(address, store, scratch)


def test_errors_name_the_address_once_and_what_to_do():
    with pytest.raises(InputError) as refused, named_errors("weights"):
        raise InputError("it is empty")
    assert str(refused.value) == (
        "initial checkpoint weights: it is empty; give another with initialCheckpoint, or 'scratch' for none"
    )
    with pytest.raises(TransientError, match=r"^initial checkpoint weights: no answer$"), named_errors("weights"):
        raise TransientError("no answer")
