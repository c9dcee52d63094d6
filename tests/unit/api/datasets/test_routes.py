import asyncio
import io
import json
import tarfile
import zipfile

import pytest

from tests.fakes.bucket import FakeBucket
from tests.unit.api.conftest import bearer, stored_keys

from services.api.datasets import uploads

SHA = "ab" * 32
PONDS = {"ponds/a.jpg": b"jpeg", "ponds/a.xml": b"<xml/>", "__MACOSX/._a.jpg": b""}
ZIP = {"Content-Type": "application/zip"}
MANIFEST = {
    "name": "ponds",
    "sha256": SHA,
    "labels": ["duck"],
    "splits": {
        "train": {"images": 9, "boxes": 12, "per_class": {"duck": 12}, "shards": 1},
        "test": {"images": 1, "boxes": 1, "per_class": {"duck": 1}, "shards": 1},
    },
    "median_size": [640, 480],
    "counts": {"exif_rotated": 2},
    "notes": ["1 in 10 images is test"],
}


@pytest.fixture
def store(tmp_path):
    return FakeBucket(tmp_path / "store")


def make_zip(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def write_dataset(store, name="ponds", sha=SHA):
    folder = f"datasets/{name}/{sha}"
    store.write(f"{folder}/report.html", b"<!doctype html>")
    store.write(f"{folder}/report.json", b"{}")
    store.write(f"{folder}/manifest.json", json.dumps(MANIFEST | {"name": name, "sha256": sha}).encode())


# Sent whole


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (make_zip(PONDS), "application/zip"),
        (make_zip(PONDS), "application/octet-stream"),
        (make_tar(PONDS), "application/gzip"),
        (make_tar(PONDS), "application/x-tar+gzip"),
    ],
    ids=["zip", "unnamed", "gzip", "tar+gzip"],
)
def test_an_archive_is_unpacked_and_ingested(client, store, cluster, content, kind):
    answer = client.post("/v1/datasets?name=ponds", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 201
    fields = answer.json()
    id = fields.pop("id")
    source, run = f"s3://slipway/deep/uploads/{id}/ponds", f"ponds-{id[-8:]}"
    counts = {"files": 2, "images": 1, "bytes": 10, "skipped": 1}
    assert fields == {"name": "ponds", "source": source, "run": run, **counts}
    assert stored_keys(store) == [f"uploads/{id}.json", f"uploads/{id}/ponds/a.jpg", f"uploads/{id}/ponds/a.xml"]
    spec = cluster.objects[run]["spec"]
    assert (spec["dataset"], spec["until"]) == ({"source": source, "name": "ponds"}, "ingest")
    assert cluster.objects[run]["metadata"]["annotations"]["slipway.dev/owner"] == "crane"


def test_ratios_of_an_archive_are_those_of_the_run_that_ingests(client, cluster):
    path = "/v1/datasets?name=ponds&valRatio=0.15&testRatio=0.2&later=1"
    answer = client.post(path, content=make_zip(PONDS), headers=ZIP)
    assert (answer.status_code, "valRatio" in answer.json()) == (201, False)
    ingest = cluster.objects[answer.json()["run"]]["spec"]["ingest"]
    assert (ingest["valRatio"], ingest["testRatio"]) == (0.15, 0.2)


@pytest.mark.parametrize("ratio", ["1", "-0.1", "half"])
def test_wrong_ratio_is_refused_by_its_name(client, store, ratio):
    answer = client.post(f"/v1/datasets?name=ponds&valRatio={ratio}", content=make_zip(PONDS), headers=ZIP)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "valRatio")
    assert stored_keys(store) == []


@pytest.mark.parametrize("kind", ["text/csv", "multipart/form-data; boundary=x"])
def test_another_type_is_refused_with_those_there_are(client, store, kind):
    answer = client.post("/v1/datasets?name=ponds", content=b"1", headers={"Content-Type": kind})
    assert (answer.status_code, "application/zip" in answer.json()["detail"]) == (415, True)
    assert stored_keys(store) == []


@pytest.mark.parametrize("content", [b"", b"no archive", make_zip(PONDS)[:-30], make_zip({"../a": b"1"}), make_zip({})])
def test_a_bad_archive_is_answered_with_what_is_wrong_and_nothing_of_it_is_left(client, store, cluster, content):
    answer = client.post("/v1/datasets?name=ponds", content=content, headers=ZIP)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert stored_keys(store) == []
    assert cluster.objects == {}


@pytest.mark.parametrize("query", ["", "?name=", "?name=My%20Ponds", "?name=-a", "?name=" + "a" * 44])
def test_a_dataset_needs_a_plain_name(client, query):
    answer = client.post(f"/v1/datasets{query}", content=make_zip(PONDS), headers=ZIP)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "name")


def test_a_viewer_sends_nothing(client, store):
    for call in ("/v1/datasets?name=ponds", "/v1/datasets:begin", f"/v1/datasets/uploads/{ID}:complete"):
        assert client.post(call, content=b"{}", headers=bearer("viewer")).status_code == 403
    assert stored_keys(store) == []


def test_a_body_that_breaks_off_leaves_nothing(app, store, monkeypatch):
    """The client goes away after two parts."""
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    incoming = [{"type": "http.request", "body": bytes(2500), "more_body": True}, {"type": "http.disconnect"}]
    outgoing = []

    async def receive():
        assert len(incoming) == 2 or len(stored_keys(store, "incoming")) == 3
        return incoming.pop(0)

    async def send(message):
        outgoing.append(message)

    headers = [(b"authorization", bearer("submitter")["Authorization"].encode()), (b"content-type", b"application/zip")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/datasets",
        "query_string": b"name=ponds",
        "headers": headers,
    }
    asyncio.run(
        app(scope | {"http_version": "1.1", "scheme": "http", "server": ("api", 80), "client": ("1", 1)}, receive, send)
    )
    assert outgoing[0]["status"] == 400
    assert stored_keys(store) == []


@pytest.mark.parametrize("limits", [{"requestsPerSecond": 1000, "burst": 1000, "uploadBytes": 2000}])
def test_an_upload_that_is_too_long_leaves_nothing(client, store, monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", 1000)
    pieces = (bytes(500) for _ in range(6))
    answer = client.post("/v1/datasets?name=ponds", content=pieces, headers=ZIP)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:slipway:problem:too-long")
    assert stored_keys(store) == []


def test_without_a_cluster_no_try_leaves_a_copy(client, store, cluster):
    cluster.is_away = True
    for _ in range(3):
        assert client.post("/v1/datasets?name=ponds", content=make_zip(PONDS), headers=ZIP).status_code == 503
        assert stored_keys(store) == []
    cluster.is_away = False
    answer = client.post("/v1/datasets?name=ponds", content=make_zip(PONDS), headers=ZIP)
    assert (answer.status_code, list(cluster.objects)) == (201, [answer.json()["run"]])


def test_without_a_cluster_what_came_in_parts_is_kept_and_can_be_completed(client, store, cluster):
    content = make_zip(PONDS)
    body = {"name": "ponds", "archive": {"bytes": len(content)}}
    id = client.post("/v1/datasets:begin", json=body).json()["id"]
    store.write(f"incoming/{id}/00001.part", content)
    cluster.is_away = True
    assert client.post(f"/v1/datasets/uploads/{id}:complete").status_code == 503
    cluster.is_away = False
    answer = client.post(f"/v1/datasets/uploads/{id}:complete")
    assert (answer.status_code, list(cluster.objects)) == (201, [answer.json()["run"]])


def test_a_folder_that_no_cluster_sees_takes_nothing(client, store):
    store.url = str(store.root)
    answer = client.post("/v1/datasets?name=ponds", content=make_zip(PONDS), headers=ZIP)
    assert (answer.status_code, "which no cluster sees" in answer.json()["detail"]) == (409, True)
    assert stored_keys(store) == []


def test_each_upload_is_audited(client, events):
    client.post("/v1/datasets?name=ponds", content=make_zip(PONDS), headers=ZIP)
    client.post("/v1/datasets?name=ponds", content=b"", headers=ZIP)
    fields = [(e["user"], e["action"], e["outcome"]) for e in events("audit")]
    assert fields == [("crane", "dataset.upload", "done"), ("crane", "dataset.upload", "BadArchive")]


# Sent in parts


ID = "20260131T120000Z-3f2a9c1b3f2a9c1b"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", 100)


def begin(client, size, name="ponds"):
    return client.post("/v1/datasets:begin", json={"name": name, "archive": {"bytes": size}})


def put(store, id, content, *numbers):
    for number in numbers:
        store.write(f"incoming/{id}/{number:05d}.part", content[(number - 1) * 100 : number * 100])


def test_parts_have_addresses(client, small_parts):
    answer = begin(client, 250)
    assert answer.status_code == 201
    fields = answer.json()
    address = f"https://store.example/incoming/{fields['id']}/00003.part?method=PUT&seconds=900"
    assert (fields["partBytes"], [part["number"] for part in fields["parts"]], fields["isComplete"]) == (
        100,
        [1, 2, 3],
        False,
    )
    assert fields["parts"][2]["url"] == address


def test_parts_make_a_dataset(client, store, cluster, small_parts):
    content = make_zip(PONDS)
    id = begin(client, len(content)).json()["id"]
    put(store, id, content, *range(1, len(content) // 100 + 2))
    answer = client.post(f"/v1/datasets/uploads/{id}:complete")
    assert (answer.status_code, answer.json()["files"]) == (201, 2)
    assert list(cluster.objects) == [f"ponds-{id[-8:]}"]
    assert stored_keys(store, "incoming") == []


def test_an_upload_that_broke_off_says_what_is_left(client, store, small_parts):
    content = make_zip(PONDS)
    id = begin(client, len(content)).json()["id"]
    put(store, id, content, 1, 3)
    fields = client.get(f"/v1/datasets/uploads/{id}").json()
    assert (fields["name"], fields["there"], fields["parts"][0]["number"]) == ("ponds", [1, 3], 2)
    assert 1 not in [part["number"] for part in fields["parts"]]


def test_an_upload_that_is_not_all_there_is_not_completed(client, store, cluster, small_parts):
    content = make_zip(PONDS)
    id = begin(client, len(content)).json()["id"]
    put(store, id, content, *range(1, len(content) // 100 + 2))
    store.write(f"incoming/{id}/00002.part", b"half")
    answer = client.post(f"/v1/datasets/uploads/{id}:complete")
    assert (answer.status_code, answer.json()["detail"].split(";")[0]) == (
        409,
        "parts 2 are not there, or have another size",
    )
    assert [part["number"] for part in client.get(f"/v1/datasets/uploads/{id}").json()["parts"]] == [2]
    assert (cluster.objects, stored_keys(store, "uploads")) == ({}, [])
    put(store, id, content, 2)
    assert client.post(f"/v1/datasets/uploads/{id}:complete").status_code == 201


def test_completing_again_has_the_same_answer(client, store, cluster, small_parts):
    content = make_zip(PONDS)
    id = begin(client, len(content)).json()["id"]
    put(store, id, content, *range(1, len(content) // 100 + 2))
    first, second = (client.post(f"/v1/datasets/uploads/{id}:complete") for _ in range(2))
    assert (first.status_code, second.status_code, first.json()) == (201, 201, second.json())
    assert len(cluster.objects) == 1
    fields = client.get(f"/v1/datasets/uploads/{id}").json()
    assert (fields["isComplete"], fields["parts"]) == (True, [])


def test_an_unknown_upload_is_said_to_be_that(client):
    assert client.get(f"/v1/datasets/uploads/{ID}").status_code == 404
    assert client.post(f"/v1/datasets/uploads/{ID}:complete").status_code == 404
    assert client.get("/v1/datasets/uploads/..%2f..%2fruns").status_code in (404, 422)
    assert client.get("/v1/datasets/uploads/20260131").status_code == 422


def test_what_is_too_large_is_not_begun(client, store):
    answer = begin(client, (20 << 30) + 1)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:slipway:problem:too-long")
    assert stored_keys(store) == []


def test_a_store_without_addresses_says_to_send_the_archive_whole(client, store, monkeypatch):
    monkeypatch.setattr(store, "presign", lambda *_: None)
    answer = begin(client, 1000)
    assert (answer.status_code, "send the archive whole: POST /v1/datasets" in answer.json()["detail"]) == (409, True)
    assert stored_keys(store) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Ponds!", "archive": {"bytes": 1}}, "/name"),
        ({"name": "ponds", "archive": {"bytes": 0}}, "/archive/bytes"),
        ({"name": "ponds"}, "/archive"),
        ({"name": "ponds", "archive": {"bytes": 1}, "files": []}, "/files"),
    ],
    ids=["name", "empty", "nothing", "unknown"],
)
def test_a_wrong_field_is_pointed_at(client, body, pointer):
    answer = client.post("/v1/datasets:begin", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


# Seen


def test_a_dataset_is_told_in_numbers(client, store):
    write_dataset(store)
    fields = client.get(f"/v1/datasets/ponds@{SHA}", headers=bearer("viewer")).json()
    assert fields == {
        "ref": f"ponds@{SHA}",
        "name": "ponds",
        "sha256": SHA,
        "images": 10,
        "boxes": 13,
        "labels": ["duck"],
        "splits": {
            "train": {"images": 9, "boxes": 12, "perClass": {"duck": 12}},
            "test": {"images": 1, "boxes": 1, "perClass": {"duck": 1}},
        },
        "counts": {"exif_rotated": 2},
        "notes": ["1 in 10 images is test"],
    }


def test_datasets_are_listed_in_pages_once_they_are_whole(client, store):
    for number in range(5):
        write_dataset(store, f"ponds-{number}")
    store.write(f"datasets/half/{SHA}/report.html", b"")
    first = client.get("/v1/datasets?limit=3").json()
    second = client.get("/v1/datasets", params={"limit": 3, "page": first["next"]}).json()
    assert [item["name"] for item in first["items"]] == ["ponds-0", "ponds-1", "ponds-2"]
    assert [item["name"] for item in second["items"]] == ["ponds-3", "ponds-4"]
    assert second["next"] is None


def test_without_datasets_the_list_is_empty(client):
    assert client.get("/v1/datasets").json()["items"] == []


@pytest.mark.parametrize("rest", ["", "/report"])
def test_an_absent_dataset_is_said_to_be_that(client, rest):
    assert client.get(f"/v1/datasets/ponds@{SHA}{rest}").status_code == 404
    assert client.get(f"/v1/datasets/ponds@beef{rest}").status_code == 422
    assert client.get(f"/v1/datasets/..@{SHA}{rest}").status_code == 422


def test_a_report_is_a_page_that_can_do_nothing(client, store):
    write_dataset(store)
    answer = client.get(f"/v1/datasets/ponds@{SHA}/report", headers={"Accept": "text/html"})
    assert (answer.text, answer.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[:3] == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]
    assert "sandbox" in policy
    assert answer.headers["vary"] == "Accept"


def test_a_report_is_json_where_that_is_asked_for(client, store):
    write_dataset(store)
    answer = client.get(f"/v1/datasets/ponds@{SHA}/report", headers={"Accept": "application/json"})
    assert (answer.json(), answer.headers["content-type"]) == ({}, "application/json")
