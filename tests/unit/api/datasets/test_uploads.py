import asyncio
import io
import threading
import zipfile

import pytest

from slipway.archives import BadArchive
from slipway.errors import MissingKey, StoreUnavailable
from slipway.store.folder import FolderStore
from slipway.unpack import ArchiveLimits
from tests.unit.api.conftest import stored_keys

from services.api.datasets import uploads
from services.api.datasets.uploads import Archive, announce, complete, discard, find_upload, new_id, receive

ID = "20260131T120000Z-3f2a9c1b3f2a9c1b"
PONDS = {f"ponds/{number}.jpg": b"%d" % number * 1000 for number in range(20)}


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)


@pytest.fixture
def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zip_file:
        for name, content in PONDS.items():
            zip_file.writestr(name, content)
    return buffer.getvalue()


def send(store, content, chunk=700):
    """Send content as a request would: announced, received in chunks, announced with its size."""

    async def chunks():
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    description = Archive(name="ponds", bytes=None, user="crane")
    announce(store, ID, description)
    description = asyncio.run(receive(store, ID, description, chunks()))
    announce(store, ID, description)
    return description


def test_an_id_tells_when_it_was_made():
    one, other = new_id("2026-01-31T12:00:00Z"), new_id("2026-01-31T12:00:00+00:00")
    assert one.startswith("20260131T120000Z-")
    assert len(one) == len(ID) == len(other)
    assert one != other


@pytest.mark.parametrize("chunk", [1, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 3000])
def test_parts_are_of_one_size_however_the_bytes_come(store, size, chunk):
    content = bytes(number % 251 for number in range(size))
    assert send(store, content, chunk).bytes == size
    parts = [store.read(f"incoming/{ID}/{number:05d}.part") for number in uploads.list_parts(store, ID)]
    assert b"".join(parts) == content
    assert [len(part) for part in parts[:-1]] == [1000] * (len(parts) - 1)


def test_an_archive_is_unpacked_when_it_is_all_there(store, archive):
    send(store, archive)
    upload = complete(store, ID, ArchiveLimits())
    assert (upload.id, upload.name, upload.user, upload.folder) == (ID, "ponds", "crane", f"uploads/{ID}/ponds")
    assert (upload.files, upload.images, upload.bytes, upload.skipped) == (20, 20, 30_000, 0)
    assert store.read(f"uploads/{ID}/ponds/7.jpg") == b"7" * 1000
    assert find_upload(store, ID) == upload
    assert stored_keys(store, "incoming") == []


def test_the_listing_comes_last(store, archive, monkeypatch):
    send(store, archive)
    keys = []
    monkeypatch.setattr(store, "write", lambda key, content: keys.append(key))
    complete(store, ID, ArchiveLimits())
    assert (len(keys), keys[-1]) == (21, f"uploads/{ID}.json")


def test_what_is_complete_is_left_as_it_is(store, archive):
    send(store, archive)
    first = complete(store, ID, ArchiveLimits())
    store.delete(f"uploads/{ID}/ponds/7.jpg")
    assert complete(store, ID, ArchiveLimits()) == first
    assert store.stat(f"uploads/{ID}/ponds/7.jpg") is None


def test_what_was_never_announced_is_missing(store):
    with pytest.raises(MissingKey):
        complete(store, ID, ArchiveLimits())


@pytest.mark.parametrize("cut", [1, 100, 5_000])
def test_of_an_archive_that_is_cut_short_nothing_is_left(store, archive, cut):
    send(store, archive[:-cut])
    with pytest.raises(BadArchive, match="is damaged, or cut short"):
        complete(store, ID, ArchiveLimits())
    assert stored_keys(store) == []


def test_of_an_archive_that_is_refused_half_way_nothing_is_left(store):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zip_file:
        for number in range(300):
            zip_file.writestr(f"{number}.jpg", b"")
        zip_file.writestr("../out.jpg", b"")
    send(store, buffer.getvalue())
    with pytest.raises(BadArchive, match="leads out of its folder"):
        complete(store, ID, ArchiveLimits())
    assert stored_keys(store) == []


def test_a_store_that_goes_away_while_it_is_unpacked_leaves_the_archive_to_be_tried_again(store, archive, monkeypatch):
    send(store, archive)
    write = store.write

    def full(key, content):
        if key.endswith("7.jpg"):
            raise StoreUnavailable("full")
        write(key, content)

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(StoreUnavailable):
        complete(store, ID, ArchiveLimits())
    assert find_upload(store, ID) is None
    monkeypatch.undo()
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    assert complete(store, ID, ArchiveLimits()).files == 20


def test_a_store_that_refuses_to_be_read_is_not_taken_for_a_damaged_archive(store, archive, monkeypatch):
    send(store, archive)
    monkeypatch.setattr(store, "read", lambda key: (_ for _ in ()).throw(StoreUnavailable("away")))
    with pytest.raises(StoreUnavailable):
        complete(store, ID, ArchiveLimits())


def test_two_that_complete_the_same_have_the_same_answer(store, archive):
    send(store, archive)
    results = []
    threads = [threading.Thread(target=lambda: results.append(complete(store, ID, ArchiveLimits()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len({upload.model_dump_json() for upload in results}) == 1
    assert len(stored_keys(store, f"uploads/{ID}")) == 20


def test_a_part_that_changed_its_size_meanwhile_is_refused(store, archive):
    send(store, archive)
    store.write(f"incoming/{ID}/00005.part", b"short")
    with pytest.raises(BadArchive, match="part 5 has 5 bytes, expected 1000; send all anew"):
        complete(store, ID, ArchiveLimits())


def test_wrong_parts_are_the_absent_ones_and_those_of_another_size(store, archive):
    description = send(store, archive)
    store.delete(f"incoming/{ID}/00002.part")
    store.write(f"incoming/{ID}/00004.part", b"short")
    assert uploads.find_wrong_parts(store, ID, description) == [2, 4]


def test_what_a_kill_left_while_it_was_unpacked_is_discarded_with_it(store, archive):
    send(store, archive)
    store.write(f"uploads/{ID}/ponds/0.jpg", b"0")
    discard(store, ID)
    assert stored_keys(store) == []


def test_what_a_kill_left_after_it_was_unpacked_is_discarded_alone(store, archive):
    send(store, archive)
    complete(store, ID, ArchiveLimits())
    store.write(f"incoming/{ID}/00001.part", b"0")
    discard(store, ID)
    assert len(stored_keys(store, "uploads")) == 21
    assert stored_keys(store, "incoming") == []
