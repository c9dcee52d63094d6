"""The contract of every `ObjectStore`; `conftest.py` lists the stores."""

import threading
import time
from contextlib import suppress

import pytest
import urllib3

from slipway.errors import InputError, MissingKey
from slipway.store.interface import Content, Listed, delete_all, download_all, list_keys, upload_all
from slipway.store.s3.store import MinioStore
from tests.contract.s3_servers import BUCKET


def test_write_then_read_returns_the_bytes(store):
    store.write("runs/a/run.json", b"\x00\xff\n")
    assert store.read("runs/a/run.json") == b"\x00\xff\n"


def test_write_replaces_the_previous_bytes(store):
    store.write("a", b"long before")
    store.write("a", b"now")
    assert store.read("a") == b"now"


def test_create_writes_only_a_key_that_does_not_exist(store):
    assert store.create("a/b", b"first") is True
    assert store.create("a/b", b"second") is False
    assert store.read("a/b") == b"first"


def test_an_empty_key_exists(store):
    store.write("a", b"")
    assert (store.read("a"), store.stat("a").size, list(list_keys(store))) == (b"", 0, ["a"])


def test_a_missing_key_is_named(store):
    with pytest.raises(MissingKey, match=r"runs/none\.json: no such key"):
        store.read("runs/none.json")


def test_size_is_in_bytes(store):
    store.write("a/b", "né".encode())
    assert store.stat("a/b").size == 3


@pytest.mark.parametrize("key", ["a", "a/b/c", "none"])
def test_size_and_stat_are_none_for(store, key):
    store.write("a/b", b"1")
    assert store.stat(key) is None


def test_an_etag_changes_with_the_content_alone(store):
    store.write("a", b"one")
    before = store.stat("a")
    assert (before.size, store.stat("a")) == (3, before)
    store.write("a", b"two")
    after = store.stat("a")
    assert (after.size, '"' in after.etag) == (3, False)
    assert after.etag != before.etag


def read_all(content: Content) -> bytes:
    return b"".join(content.chunks)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (0, 1, b"0"), (3, 7, b"3456"), (8, None, b"89"), (9, 10, b"9"), (8, 99, b"89")],
)
def test_a_stream_is_of(store, start, end, expected):
    store.write("a/b", b"0123456789")
    content = store.stream("a/b", start, end)
    assert read_all(content) == expected
    assert content.stat == store.stat("a/b")


def test_a_stream_comes_in_pieces(store):
    whole = bytes(range(250)) * 20_000
    store.write("a", whole)
    pieces = list(store.stream("a").chunks)
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= 1 << 20


def test_a_stream_of_an_empty_key_is_empty(store):
    store.write("a", b"")
    content = store.stream("a")
    assert (read_all(content), content.stat.size) == (b"", 0)


@pytest.mark.parametrize("key", ["none", "a", "a/b/c"])
def test_a_stream_of_a_missing_key_fails_at_once(store, key):
    store.write("a/b", b"1")
    with pytest.raises(MissingKey, match=f"{key}: no such key"):
        store.stream(key)


def test_a_stream_that_is_not_read_to_its_end_is_closed(store):
    store.write("a", bytes(3 << 20))
    unread, begun = store.stream("a"), store.stream("a")
    next(begun.chunks)
    unread.close()
    begun.close()
    assert store.read("a") == bytes(3 << 20)


def test_a_presigned_address_needs_no_keys_where_the_store_has_any(store):
    put, get = (store.presign("a/é b", method, 60) for method in ("PUT", "GET"))
    if put is None:
        assert get is None
        return
    with urllib3.PoolManager() as client:
        assert client.request("PUT", put, body=b"from afar").status == 200
        assert client.request("GET", get).data == b"from afar"
        assert client.request("PUT", get, body=b"other").status == 403
    assert store.read("a/é b") == b"from afar"


def test_list_is_sorted_and_of_one_folder(store):
    for key in ("b/z", "b/a/1", "bb/c", "a"):
        store.write(key, b"")
    assert list(list_keys(store, "b")) == ["b/a/1", "b/z"]
    assert list(list_keys(store)) == ["a", "b/a/1", "b/z", "bb/c"]


def test_list_orders_names_by_their_bytes_also_across_folders(store):
    keys = ["a-b/1", "a/1", "a.b/1", "a0"]
    for key in keys:
        store.write(key, b"")
    assert list(list_keys(store)) == sorted(keys)


def test_list_of_an_absent_folder_is_empty(store):
    assert list(list_keys(store, "none")) == []


def test_a_scan_has_size_and_age_of_the_listed_keys(store):
    before = time.time()
    for key, content in {"b/z": b"123", "b/a/1": b"", "bb/c": b"1"}.items():
        store.write(key, content)
    found = list(store.scan("b"))
    assert [(listed.key, listed.size) for listed in found] == [("b/a/1", 0), ("b/z", 3)]
    assert all(before - 2 <= listed.modified_at <= time.time() + 2 for listed in found)  # whole seconds
    assert list(store.scan("none")) == []


def test_delete_removes_the_key(store):
    store.write("a", b"1")
    store.delete("a")
    assert store.stat("a") is None


def test_delete_of_an_absent_key_is_not_an_error(store):
    store.delete("none")


def test_addresses_for_others_name_the_server_as_they_reach_it(server):
    store = MinioStore(f"s3://{BUCKET}/deep", server.settings(region=None), 5, "https://store.example")
    assert store.presign("a", "GET", 60).startswith(f"https://store.example/{BUCKET}/deep/a?X-Amz-Algorithm=")
    store.write("a", b"1")
    assert store.read("a") == b"1"


@pytest.mark.parametrize(
    "key", ["Ünïcode & spaces/a b.jpg", "a/100%.jpg", "a/b#c?d.jpg", "a/'q\".jpg", "a/x+y=z,~.jpg", "港/船.jpg"]
)
def test_any_plain_name_is_a_key(store, key):
    store.write(key, b"1")
    assert (store.read(key), list(list_keys(store))) == (b"1", [key])


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/.", "a/", "a\0b"])
def test_a_key_that_is_not_a_plain_path_is_refused(store, key):
    for use in (store.read, store.stat, store.stream, store.delete, lambda k: store.write(k, b"1")):
        with pytest.raises(InputError, match="not a relative path"):
            use(key)


def test_upload_then_download_is_the_same_file(store, tmp_path):
    (tmp_path / "from").write_bytes(b"12345")
    store.upload(tmp_path / "from", "a/b")
    store.download("a/b", tmp_path / "new" / "folder" / "to")
    assert (tmp_path / "new" / "folder" / "to").read_bytes() == b"12345"


def test_an_empty_file_goes_up_and_comes_back(store, tmp_path):
    (tmp_path / "from").write_bytes(b"")
    store.upload(tmp_path / "from", "a")
    store.download("a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b""


def test_download_replaces_the_file(store, tmp_path):
    (tmp_path / "to").write_bytes(b"long before")
    store.write("a", b"now")
    store.download("a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"now"


def test_download_of_a_missing_key_leaves_no_file(store, tmp_path):
    with pytest.raises(MissingKey):
        store.download("none", tmp_path / "to")
    assert list(tmp_path.rglob("to*")) == []


def test_upload_leaves_the_file(store, tmp_path):
    (tmp_path / "from").write_bytes(b"1")
    store.upload(tmp_path / "from", "a")
    assert (tmp_path / "from").read_bytes() == b"1"


def test_a_folder_goes_up_and_comes_back(store, tmp_path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "a").write_bytes(b"1")
    (tmp_path / "from" / "deep" / "b").write_bytes(b"2")
    assert upload_all(store, tmp_path / "from", "copy") == ["copy/a", "copy/deep/b"]
    files = download_all(store, "copy", tmp_path / "to")
    assert [file.relative_to(tmp_path / "to").as_posix() for file in files] == ["a", "deep/b"]
    assert (tmp_path / "to" / "deep" / "b").read_bytes() == b"2"


def test_a_missing_key_ends_a_folders_download(store, tmp_path):
    store.write("copy/a", b"1")
    listing = [Listed("copy/a", 0, 0), Listed("copy/gone", 0, 0)]  # another process deletes the second meanwhile
    store.scan = lambda prefix: iter(listing)
    with pytest.raises(MissingKey, match="copy/gone: no such key"):
        download_all(store, "copy", tmp_path)


def test_delete_all_removes_one_folder(store):
    for key in ("a/1", "a/b/2", "ab"):
        store.write(key, b"")
    delete_all(store, "a")
    assert list(list_keys(store)) == ["ab"]


def test_readers_never_see_a_key_half_written(store, request):
    # rclone answers once in a while, as it replaces an object, that there is none.
    tolerated_errors = (MissingKey,) if "rclone" in request.node.name else ()
    contents = {b"a" * 100_000, b"b" * 100_000}
    store.write("key", b"a" * 100_000)
    writers = [threading.Thread(target=lambda c=c: [store.write("key", c) for _ in range(30)]) for c in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        with suppress(*tolerated_errors):
            assert store.read("key") in contents
    for writer in writers:
        writer.join()
