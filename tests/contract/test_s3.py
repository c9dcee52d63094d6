"""The behaviour of the store that only S3 servers show."""

import logging
import os
import subprocess
import threading
import time
import tracemalloc

import pytest

from slipway.errors import InputError, StoreRefused, StoreUnavailable
from slipway.store.from_url import open_store
from slipway.store.interface import delete_all, download_all, list_keys, upload_all
from slipway.store.s3 import object as s3_object
from slipway.store.s3.client import connect
from slipway.store.s3.settings import KeyFiles, Keys
from slipway.store.s3.store import MinioStore
from tests.contract.s3_servers import ACCESS_KEY, BUCKET, PROGRAMS, SECRET_KEY, Server, s3_store
from tests.programs import require

MIB = 1 << 20


@pytest.fixture
def store(server):
    return s3_store(server)


@pytest.fixture
def own_server(server, tmp_path):
    """A server that the test may stop."""
    own = Server(server.name, tmp_path).start()
    try:
        connect(own.settings()).make_bucket(BUCKET)
        yield own
    finally:
        own.stop()


@pytest.fixture
def plain_server(own_server):
    """A server whose objects the test may change behind its back."""
    if not PROGRAMS[own_server.name].has_plain_files:
        pytest.skip(f"{own_server.name} has a file format of its own")
    return own_server


def uses(store, tmp_path):
    """Return the operations of a store whose errors have a reason, by name."""
    (tmp_path / "file").write_bytes(b"1")
    return {
        "read": lambda: store.read("a"),
        "write": lambda: store.write("a", b"1"),
        "create": lambda: store.create("a", b"1"),
        "scan": lambda: list(store.scan()),
        "delete": lambda: store.delete("a"),
        "download": lambda: store.download("a", tmp_path / "to"),
        "upload": lambda: store.upload(tmp_path / "file", "a"),
    }


@pytest.mark.parametrize("use", ["read", "write", "create", "scan", "delete", "download", "upload"])
def test_a_missing_bucket_is_refused_by_name(server, tmp_path, use):
    store = MinioStore("s3://no-such-bucket/a", server.settings())
    with pytest.raises(StoreRefused, match=r"s3://no-such-bucket.*there is no such bucket; create it"):
        uses(store, tmp_path)[use]()


@pytest.mark.parametrize("use", ["read", "write", "create", "scan", "delete", "download", "upload"])
def test_a_wrong_secret_is_refused_without_telling_it(server, tmp_path, use, caplog):
    store = s3_store(server, credentials=Keys(ACCESS_KEY, "not-the-secret"))
    with caplog.at_level(logging.INFO), pytest.raises(StoreRefused) as refused:
        uses(store, tmp_path)[use]()
    assert "not-the-secret" not in f"{refused.value!r} {store!r} {vars(store)} {caplog.text}"


def test_a_wrong_secret_is_named_as_the_reason(server):
    with pytest.raises(StoreRefused, match="the secret key does not fit the access key; correct AWS_ACCESS_KEY_ID and"):
        s3_store(server, credentials=Keys(ACCESS_KEY, "not-the-secret")).read("a")


def test_an_unknown_access_key_is_named_as_the_reason(server):
    with pytest.raises(StoreRefused, match="the server does not know the access key"):
        s3_store(server, credentials=Keys("stranger", SECRET_KEY)).read("a")


@pytest.mark.parametrize("use", ["write", "create", "delete", "upload"])
def test_a_change_without_permission_is_refused_with_what_is_needed(servers, tmp_path, use):
    servers("versitygw")  # or skip
    folder = tmp_path / "server"
    folder.mkdir()
    open_handed = Server("versitygw", folder).start()
    connect(open_handed.settings()).make_bucket(BUCKET)
    open_handed.stop()
    server = Server("versitygw", folder, "--readonly").start()
    with pytest.raises(StoreRefused, match=r"no permission; allow these keys GetObject, PutObject"):
        uses(s3_store(server), tmp_path)[use]()
    server.stop()


def test_no_secret_is_in_the_settings_repr(server):
    assert SECRET_KEY not in repr(server.settings())


def test_a_wrong_region_is_refused_with_the_right_one(servers):
    store = s3_store(servers("versitygw"), region="eu-west-1")
    with pytest.raises(StoreRefused, match=r"SLIPWAY_S3_REGION.*us-east-1|the bucket's region is us-east-1"):
        store.read("a")


def test_without_a_region_the_server_is_asked_for_it(server):
    store = s3_store(server, region=None)
    store.write("a", b"1")
    assert store.read("a") == b"1"


def test_keys_in_files_are_read_anew_at_every_use(server, tmp_path):
    files = KeyFiles(tmp_path / "access", tmp_path / "secret")
    files.access_key.write_text(f"{ACCESS_KEY}\n")
    files.secret_key.write_text("an-old-one\n")
    store = s3_store(server, credentials=files)
    with pytest.raises(StoreRefused):
        store.read("a")
    files.secret_key.write_text(f"{SECRET_KEY}\n")
    store.write("a", b"1")
    assert store.read("a") == b"1"


def test_a_stage_opens_the_store_from_its_environment(server, monkeypatch):
    monkeypatch.setenv("SLIPWAY_S3_ENDPOINT", f"http://{server.address}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    store = open_store(f"s3://{BUCKET}/by/hand/")
    store.write("a/b", b"1")
    assert (store.url, list(list_keys(store))) == (f"s3://{BUCKET}/by/hand", ["a/b"])
    assert list(list_keys(open_store(f"s3://{BUCKET}"), "by/hand/a")) == ["by/hand/a/b"]


def test_1100_keys_are_listed_in_order(store, tmp_path):
    names = [f"{number:04d}.jpg" for number in range(1100)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    upload_all(store, tmp_path, "many")
    assert list(list_keys(store, "many")) == [f"many/{name}" for name in names]
    delete_all(store, "many")
    assert list(list_keys(store)) == []


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 70 MB, no two parts of which are alike."""
    path = tmp_path_factory.mktemp("large") / "large"
    with path.open("wb") as file:
        for number in range(70):
            file.write(bytes([number]) * 1_000_000)
    return path


def test_a_large_file_goes_up_and_comes_back_in_little_memory(store, large, tmp_path):
    tracemalloc.start()
    store.upload(large, "large")
    store.download("large", tmp_path / "to")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "to").read_bytes() == large.read_bytes()
    assert store.stat("large").size == 70_000_000
    assert peak < 48 * MIB  # four parts of 8 MiB, and what carries them


def test_a_large_content_is_written_in_parts(store, large):
    store.write("large", large.read_bytes())
    assert store.read("large") == large.read_bytes()


def test_parts_of_a_failed_upload_are_aborted(store, tmp_path, monkeypatch):
    monkeypatch.setattr(s3_object, "LARGE_BYTES", 10 * MIB)
    part = store._client._upload_part

    def fails_once_at_2(*arguments):
        if arguments[-1] == 2:
            raise StoreRefused("no")
        return part(*arguments)

    monkeypatch.setattr(store._client, "_upload_part", fails_once_at_2)
    with pytest.raises(StoreRefused, match=r"^no$"):
        store.write("large", bytes(20 * MIB))
    assert store.stat("large") is None
    uploads = store._client._list_multipart_uploads(BUCKET, prefix=store._root)
    assert uploads.uploads == []


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_damage_is_detected(plain_server, tmp_path, monkeypatch, size):
    monkeypatch.setattr(s3_object, "LARGE_BYTES", 10 * MIB)
    store = s3_store(plain_server)
    store.write("a", bytes(size))
    [file] = [f for f in tmp_path.rglob("a") if f.is_file()]
    written = file.stat()
    with file.open("r+b") as there:
        there.write(b"\xff")
    os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))  # rclone forgets the digest of what was changed
    with pytest.raises(StoreUnavailable, match=r"a: came with digest .*, was stored with .*; try again, and if"):
        store.download("a", tmp_path / "to")
    assert list(tmp_path.glob("to*")) == []
    with pytest.raises(StoreUnavailable, match="came with digest"):
        store.read("a")


def test_objects_of_other_clients_are_read_without_a_digest(plain_server, tmp_path):
    (tmp_path / BUCKET / "photos").mkdir()
    (tmp_path / BUCKET / "photos" / "a.jpg").write_bytes(b"jpeg")
    store = MinioStore(f"s3://{BUCKET}", plain_server.settings())
    assert (list(list_keys(store)), store.read("photos/a.jpg")) == (["photos/a.jpg"], b"jpeg")


def test_a_server_that_comes_back_is_waited_for(own_server, tmp_path):
    store = s3_store(own_server, patience_sec=20)
    store.write("copy/a", b"1")
    own_server.stop()
    answers = []
    reader = threading.Thread(target=lambda: answers.append((store.read("copy/a"), store.stat("none"))))
    loader = threading.Thread(target=lambda: answers.append(download_all(store, "copy", tmp_path / "to")))
    reader.start(), loader.start()
    time.sleep(0.5)
    own_server.start()
    reader.join(), loader.join()
    assert sorted(answers, key=str) == [(b"1", None), [tmp_path / "to" / "a"]]


def test_a_server_that_stays_away_is_an_error(own_server, tmp_path):
    store = s3_store(own_server, patience_sec=0.3)
    own_server.stop()
    started = time.monotonic()
    for use in uses(store, tmp_path).values():
        with pytest.raises(StoreUnavailable, match=r"no answer: .*Connection refused.*see that the server runs"):
            use()
    assert time.monotonic() - started < 20  # rather than seven times the usual patience


def test_only_one_of_many_creators_of_a_key_succeeds(server, store):
    if not PROGRAMS[server.name].has_conditions:
        pytest.skip(f"{server.name} has no conditional put")
    begin, results = threading.Barrier(8), {}

    def create(number):
        begin.wait()
        results[number] = store.create("lock", b"%d" % number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [number for number, created in results.items() if created]
    assert store.read("lock") == b"%d" % winner


def test_a_name_that_is_not_utf8_is_refused(store):
    with pytest.raises(InputError, match=r"is not UTF-8, as S3 requires; rename the file"):
        store.write("caf\udce9.jpg", b"")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, and its key."""
    openssl = require("openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2"]
    name = ["-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([openssl, "req", "-x509", *key, *name, *made], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def tls_server(servers, certificate, tmp_path):
    servers("rclone")  # or skip
    cert, key = certificate
    own = Server("rclone", tmp_path, "--cert", str(cert), "--key", str(key)).start()
    (tmp_path / BUCKET).mkdir()
    yield own
    own.stop()


def test_a_private_certificate_is_trusted_when_it_is_named(tls_server, certificate, monkeypatch):
    monkeypatch.setattr(s3_object, "LARGE_BYTES", 10 * MIB)
    store = s3_store(tls_server, endpoint=f"https://{tls_server.address}", ca_file=certificate[0])
    for key, content in {"small": b"1", "large": bytes(20 * MIB)}.items():
        store.write(key, content)
        assert store.read(key) == content


def test_a_certificate_that_nobody_trusts_is_refused_at_once(tls_server):
    store = s3_store(tls_server, endpoint=f"https://{tls_server.address}")
    with pytest.raises(StoreRefused, match=r"certificate is not trusted: .*name the file .* with SLIPWAY_S3_CA_FILE"):
        store.read("a")


def test_http_to_an_https_server_is_refused_with_its_message(tls_server):
    with pytest.raises(StoreRefused, match=r"the server refuses.*HTTPS"):
        s3_store(tls_server).read("a")
