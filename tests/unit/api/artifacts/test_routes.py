import pytest

from slipway.http.problems import Problem
from slipway.store.folder import FolderStore
from slipway.store.interface import Content, Stat
from tests.fakes.bucket import FakeBucket
from tests.unit.api.conftest import SPEC, bearer

from services.api.artifacts.downloads import byte_range, headers_for

RUN = "/v1/runs/harbour"
MODEL = f"{RUN}/artifacts/export/model.tflite"


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path / "store")
    store.write("runs/harbour/export/model.tflite", b"0123456789")
    store.write("runs/harbour/train/progress.jsonl", b"{}\n")
    store.write("runs/harbour/report.html", b"<!doctype html>")
    store.write("runs/harbour-2/secret", b"another's")
    store.write("secret", b"nobody's")
    return store


@pytest.fixture
def cluster(cluster):
    cluster.create({"metadata": {"name": "harbour"}, "spec": SPEC})
    return cluster


@pytest.fixture
def client(client):
    client.headers.update(bearer("viewer"))
    return client


def test_what_a_run_has_written_is_listed(client):
    assert client.get(f"{RUN}/artifacts").json()["items"] == [
        {"path": "export/model.tflite", "bytes": 10},
        {"path": "report.html", "bytes": 15},
        {"path": "train/progress.jsonl", "bytes": 3},
    ]


def test_an_absent_run_has_no_list(client):
    assert client.get("/v1/runs/none/artifacts").status_code == 404


def test_an_artifact_comes_as_it_is(client):
    answer = client.get(MODEL)
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["content-length"] == "10"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (
        answer.headers["content-disposition"] == "attachment; filename=\"model.tflite\"; filename*=UTF-8''model.tflite"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_empty_artifact_comes_too(client, store):
    store.write("runs/harbour/export/empty", b"")
    answer = client.get(f"{RUN}/artifacts/export/empty")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_a_large_artifact_comes_in_pieces(client, store):
    whole = bytes(range(250)) * 20_000
    store.write("runs/harbour/large", whole)
    assert client.get(f"{RUN}/artifacts/large").content == whole


@pytest.mark.parametrize(
    ("range_header", "content", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
def test_a_range_is_given(client, range_header, content, content_range):
    answer = client.get(MODEL, headers={"Range": range_header})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, content, content_range)
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    "range_header", ["bytes=0-1,4-5", "bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=" + "9" * 30 + "-"]
)
def test_what_is_no_range_is_passed_over(client, range_header):
    answer = client.get(MODEL, headers={"Range": range_header})
    assert (answer.status_code, answer.content) == (200, b"0123456789")


@pytest.mark.parametrize("range_header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(client, range_header):
    answer = client.get(MODEL, headers={"Range": range_header})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


def test_no_range_lies_in_an_empty_key():
    with pytest.raises(Problem, match="lies behind the end, at 0 bytes"):
        byte_range("bytes=0-", 0)


def test_what_is_known_is_not_sent_again(client):
    etag = client.get(MODEL).headers["etag"]
    answer = client.get(MODEL, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


def test_a_download_goes_on_only_in_the_same_version(client, store):
    etag = client.get(MODEL).headers["etag"]
    rest = {"Range": "bytes=4-", "If-Range": etag}
    assert (client.get(MODEL, headers=rest).status_code, client.get(MODEL, headers=rest).content) == (206, b"456789")
    store.write("runs/harbour/export/model.tflite", b"another")
    assert (client.get(MODEL, headers=rest).status_code, client.get(MODEL, headers=rest).content) == (200, b"another")


def test_of_a_key_that_is_replaced_meanwhile_no_mixture_is_sent(client, store, monkeypatch):
    stream, replaced_keys = store.stream, []

    def late(key, *span):
        if not replaced_keys:
            replaced_keys.append(key)
            store.write(key, b"another, longer content")
        return stream(key, *span)

    monkeypatch.setattr(store, "stream", late)
    answer = client.get(MODEL)
    assert (answer.content, answer.headers["content-length"]) == (b"another, longer content", "23")


def test_a_key_that_never_stands_still_is_said_to_be_that(client, store, monkeypatch):
    monkeypatch.setattr(store, "stream", lambda *_: Content(Stat(1, "other"), iter(()), lambda: None))
    answer = client.get(MODEL)
    assert (answer.status_code, "replaced again and again" in answer.json()["detail"]) == (503, True)


@pytest.mark.parametrize(
    "path",
    [
        "../harbour-2/secret",
        "..%2fharbour-2%2fsecret",
        "export/../../../secret",
        "%2e%2e/%2e%2e/secret",
        "/etc/passwd",
        "export//model.tflite",
        "export/.",
        ".tmp/x",
        "a%00b",
        "export/",
        "none",
        "a" * 300,
        "export",
    ],
)
def test_nothing_else_is_reached(client, path):
    answer = client.get(f"{RUN}/artifacts/{path}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("a.html", "text/html; charset=utf-8", "attachment"),
        ("a.svg", "application/octet-stream", "attachment"),
        ("a.jpg", "image/jpeg", "inline"),
        ("a.LOG", "text/plain; charset=utf-8", "inline"),
        ("a.json", "application/json", "inline"),
        ("a", "application/octet-stream", "attachment"),
    ],
)
def test_a_browser_shows_only_what_can_do_no_harm(name, kind, place):
    headers = headers_for(f"runs/harbour/{name}")
    assert (headers["Content-Type"], headers["Content-Disposition"].split(";")[0]) == (kind, place)
    assert "sandbox" in headers["Content-Security-Policy"]


def test_a_hostile_name_stays_inside_its_quotes(client, store):
    store.write('runs/harbour/detect/a";x=ü b.jpg', b"1")
    answer = client.get(f"{RUN}/artifacts/detect/a%22%3Bx%3D%C3%BC%20b.jpg")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == (
        "inline; filename=\"a__x__ b.jpg\"; filename*=UTF-8''a%22%3Bx%3D%C3%BC%20b.jpg"
    )
    assert not {"\r", "\n"} & set(headers_for("a\r\nSet-Cookie: b")["Content-Disposition"])


def test_a_store_without_addresses_gives_the_artifact_itself(client):
    assert client.get(f"{MODEL}?presign=1").content == b"0123456789"


def test_a_report_is_a_page_that_can_do_nothing(client):
    answer = client.get(f"{RUN}/report")
    assert (answer.text, answer.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
    )
    assert "content-disposition" not in answer.headers


def test_a_run_without_a_report_says_so(client, store):
    store.delete("runs/harbour/report.html")
    assert client.get(f"{RUN}/report").status_code == 404


def test_nobody_reads_without_a_token(client):
    for path in (MODEL, f"{RUN}/artifacts", f"{RUN}/report"):
        assert client.get(path, headers={"Authorization": ""}).status_code == 401


class TestOfABucket:
    @pytest.fixture
    def store(self, tmp_path):
        store = FakeBucket(tmp_path / "store")
        store.write("runs/harbour/export/model.tflite", b"1")
        return store

    def test_presign_leads_to_the_store(self, client):
        answer = client.get(f"{MODEL}?presign=1", follow_redirects=False)
        address = "https://store.example/runs/harbour/export/model.tflite?method=GET&seconds=900"
        assert (answer.status_code, answer.headers["location"]) == (307, address)
        assert answer.headers["cache-control"] == "no-store"

    def test_presign_of_what_is_absent_leads_nowhere(self, client):
        assert client.get(f"{RUN}/artifacts/none?presign=1", follow_redirects=False).status_code == 404
