import errno

import pytest
from prometheus_client import CollectorRegistry

from slipway.errors import Damaged, MissingBucket, MissingKey, StoreFull, StoreRefused, StoreUnavailable
from slipway.store import measured
from slipway.store.folder import FolderStore
from slipway.store.from_url import open_store
from slipway.store.interface import ObjectStore, in_parallel
from slipway.store.measured import MeasuredStore
from slipway.store.s3.client import with_store_retries


class Failing(FolderStore):
    def read(self, key):
        raise self.error


@pytest.fixture
def changes():
    """Return the samples that are not as they were when the test began."""
    registry = CollectorRegistry()
    measured.register(registry)

    def values():
        found = [sample for metric in registry.collect() for sample in metric.samples]
        return {(s.name.removeprefix("slipway_store_"), *s.labels.values()): s.value for s in found}

    before = values()
    return lambda: {name: value - before.get(name, 0) for name, value in values().items() if value != before.get(name)}


@pytest.mark.parametrize(
    ("operation", "use"),
    [
        ("read", lambda store, _: store.read("a/b")),
        ("write", lambda store, _: store.write("c", b"")),
        ("create", lambda store, _: store.create("c", b"")),
        ("stat", lambda store, _: store.stat("a/b")),
        ("stream", lambda store, _: store.stream("a/b").close()),
        ("presign", lambda store, _: store.presign("a/b", "GET", 60)),
        ("delete", lambda store, _: store.delete("a/b")),
        ("download", lambda store, folder: store.download("a/b", folder / "b")),
        ("upload", lambda store, folder: store.upload(folder / "local", "c")),
    ],
)
def test_each_operation_is_counted_once_and_timed(tmp_path, changes, operation, use):
    store = FolderStore(tmp_path / "store")
    store.write("a/b", b"content")
    (tmp_path / "local").write_bytes(b"content")
    use(open_store(store.url), tmp_path)
    counted = {name: value for name, value in changes().items() if name[0] == "operation_duration_seconds_count"}
    assert counted == {("operation_duration_seconds_count", operation): 1}


def test_every_operation_of_a_store_is_a_label_and_is_counted():
    operations = {
        name for name in vars(ObjectStore) if not name.startswith("_") and callable(getattr(ObjectStore, name))
    }
    assert operations == set(measured.OPERATIONS)
    assert operations <= set(vars(MeasuredStore))


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (StoreUnavailable("x"), "unreachable"),
        (StoreRefused("x"), "denied"),
        (MissingBucket("x"), "missing-bucket"),
        (StoreFull("x"), "full"),
        (Damaged("x"), "damaged"),
    ],
)
def test_an_error_is_counted_by_its_word(tmp_path, changes, error, word):
    store = Failing(tmp_path)
    store.error = error
    with pytest.raises(type(error)):
        MeasuredStore(store).read("a")
    assert changes()["errors_total", "read", word] == 1
    assert word in measured.ERRORS


def test_a_key_that_is_not_there_is_no_error(tmp_path, changes):
    with pytest.raises(MissingKey):
        open_store(str(tmp_path)).read("a")
    assert [name for name in changes() if name[0] == "errors_total"] == []


def test_a_full_disk_is_said_to_be_full(tmp_path, changes, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StoreFull):
        open_store(str(tmp_path)).write("a", b"x")
    assert changes()["errors_total", "write", "full"] == 1


class Hesitant(FolderStore):
    """Answers at the third try, to each of three parts that are asked for at once."""

    def download(self, key, path):
        tries = [0, 0, 0]

        def ask(part):
            tries[part] += 1
            if tries[part] < 3:
                raise StoreUnavailable(f"{key}: busy")

        in_parallel(lambda part: with_store_retries(lambda: ask(part), key, patience_sec=20), range(3))


def test_a_try_that_is_repeated_is_counted_as_the_operation_that_it_is_part_of(tmp_path, changes):
    MeasuredStore(Hesitant(tmp_path)).download("a", tmp_path / "a")
    assert {name: count for name, count in changes().items() if name[0] == "errors_total"} == {
        ("errors_total", "download", "unreachable"): 6
    }
