import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from slipway.store.interface import list_keys
from tests.fakes.scripted_server import serving
from tests.unit.cli.conftest import FILES, SHA, slipway, write_files

from services.api.datasets import uploads
from services.cli.remote import uploads as remote_uploads
from services.cli.remote.client import Call
from services.cli.remote.zip_stream import survey
from services.cli.screen.transfer_progress import TransferProgress


@pytest.fixture
def ponds(tmp_path):
    return write_files(tmp_path / "My Ponds!", FILES)


@pytest.fixture
def uploaded(store, cluster):
    """Return the files that the one run ingests."""

    def files():
        [run] = cluster.objects.values()
        folder = run["spec"]["dataset"]["source"].removeprefix(f"{store.url}/")
        return {key.removeprefix(f"{folder}/"): store.read(key) for key in list_keys(store, folder)}

    return files


# Pushed whole


def test_a_pushed_folder_ends_with_its_report_and_its_name(logged_in, ponds, uploaded, capsys):
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES
    output = capsys.readouterr()
    assert "│ duck" in output.out
    assert "a.xml: object 2: the box has no area" in output.out
    assert output.out.splitlines()[-1] == f"dataset: ponds@{SHA}"


def test_a_dataset_is_called_after_its_folder(logged_in, ponds, cluster):
    assert slipway("dataset", "push", ponds) == 0
    [(name, run)] = cluster.objects.items()
    assert (name[:-8], run["spec"]["dataset"]["name"]) == ("my-ponds-", "my-ponds")


def test_ratios_are_those_of_the_run_that_ingests(logged_in, ponds, cluster):
    assert slipway("dataset", "push", ponds, "--name", "ponds", "--val-ratio", "0.15", "--test-ratio", "0") == 0
    [run] = cluster.objects.values()
    ingest = run["spec"]["ingest"]
    assert (ingest["valRatio"], ingest["testRatio"]) == (0.15, 0)


def test_wrong_ratio_is_refused_by_its_name(logged_in, ponds, cluster, capsys):
    assert slipway("dataset", "push", ponds, "--name", "ponds", "--val-ratio", "1.5") == 65
    assert "valRatio: Input should be less than 1" in capsys.readouterr().err
    assert cluster.objects == {}


def test_json_ends_with_the_dataset_and_its_report(logged_in, ponds, capsys):
    assert slipway("dataset", "push", ponds, "--name", "ponds", "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    total = survey(ponds).size // 1000
    assert {"event": "progress", "stage": "upload", "done": total, "total": total, "unit": "kB"} in events
    assert (events[-1]["event"], events[-1]["dataset"]) == ("push_over", f"ponds@{SHA}")


def test_a_dataset_that_is_refused_says_why_and_is_65(logged_in, ponds, capsys):
    assert slipway("dataset", "push", ponds, "--name", "faulty") == 65
    assert capsys.readouterr().err == "failed: ingest: a.xml: no area\n"


@pytest.mark.parametrize(
    ("total", "progress"),
    [(5_000, (2, 5, "kB")), (50_000_000, (0, 50, "MB")), (0, (0, 0, "MB"))],
    ids=["small", "large", "unknown"],
)
def test_a_transfer_is_shown_in_fitting_units(total, progress):
    events = []
    TransferProgress(events.append, "upload", total).update(2_000)
    assert [(event["done"], event["total"], event["unit"]) for event in events] == [progress]


# Pushed in parts


PART_BYTES = 1000


class Parts(BaseHTTPRequestHandler):
    """Takes presigned parts; `refusals` are answered first."""

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        address = urlsplit(self.path)
        as_given = 200 if address.query == "method=PUT&seconds=900" else 400
        status = self.server.refusals.pop(0) if self.server.refusals else as_given
        self.server.requests.append((address.path.rpartition("/")[2], status, "Authorization" in self.headers))
        if status == 200:
            self.server.store.write(address.path.lstrip("/"), content)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket(store):
    """The server to which the store's addresses lead."""
    with serving(Parts) as server:
        server.store, server.refusals, server.requests = store, [], []
        store.server = f"http://127.0.0.1:{server.server_port}"
        yield server


@pytest.fixture
def in_parts(monkeypatch, logged_in):
    monkeypatch.setattr(remote_uploads, "ONE_REQUEST_BYTES", 0)
    monkeypatch.setattr(uploads, "PART_BYTES", PART_BYTES)


def test_a_large_folder_goes_in_parts_that_get_no_token(in_parts, ponds, bucket, uploaded, home):
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES
    assert len(bucket.requests) == survey(ponds).size // PART_BYTES + 1
    assert not any(has_token for _, _, has_token in bucket.requests)
    assert list((home / ".cache" / "slipway" / "uploads").iterdir()) == []


def test_a_push_that_broke_off_sends_only_what_is_not_there(in_parts, ponds, bucket, uploaded):
    bucket.refusals = [200, 200, 400]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    bucket.requests.clear()
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    numbers = range(3, survey(ponds).size // PART_BYTES + 2)
    assert [part for part, _, _ in bucket.requests] == [f"{number:05d}.part" for number in numbers]
    assert uploaded() == FILES


def test_another_content_is_another_upload(in_parts, ponds, bucket, uploaded):
    bucket.refusals = [200, 200, 400]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    (ponds / "a.xml").write_bytes(b"<annotation />")
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES | {"a.xml": b"<annotation />"}


def test_another_ratio_is_another_upload(in_parts, ponds, bucket, cluster):
    bucket.refusals = [200, 200, 400]
    assert slipway("dataset", "push", ponds, "--name", "ponds", "--val-ratio", "0.1") == 65
    assert slipway("dataset", "push", ponds, "--name", "ponds", "--val-ratio", "0.15") == 0
    [run] = cluster.objects.values()
    assert run["spec"]["ingest"]["valRatio"] == 0.15


def upload_ids(store):
    return {key.split("/")[1] for key in list_keys(store, "incoming")}


def test_an_upload_that_the_server_gave_up_is_begun_anew(in_parts, ponds, bucket, store, uploaded):
    bucket.refusals = [200, 400]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    [id] = upload_ids(store)
    uploads.discard(store, id)
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES


def test_an_upload_whose_last_answer_was_lost_is_the_same_run(in_parts, ponds, bucket, uploaded, api):
    [*parts, last] = survey(ponds).parts(PART_BYTES)
    bucket.refusals = [200] * len(parts) + [400]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    [id] = upload_ids(bucket.store)
    bucket.store.write(f"incoming/{id}/{len(parts) + 1:05d}.part", last)
    api.json(Call("POST", f"/v1/datasets/uploads/{id}:complete"))
    bucket.requests.clear()
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert bucket.requests == []
    assert uploaded() == FILES


def test_a_part_is_sent_again_when_the_store_is_busy_or_the_address_has_expired(in_parts, ponds, bucket):
    bucket.refusals = [503, 200, 403]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert [(part, status) for part, status, _ in bucket.requests[:4]] == [
        ("00001.part", 503),
        ("00001.part", 200),
        ("00002.part", 403),
        ("00002.part", 200),
    ]


def test_a_store_without_addresses_gets_the_archive_whole(in_parts, ponds, store, uploaded):
    store.server = None
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES


def test_an_upload_whose_store_has_no_addresses_any_more_is_sent_whole(in_parts, ponds, bucket, store, uploaded):
    bucket.refusals = [200, 400]
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    store.server = None
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 0
    assert uploaded() == FILES


@pytest.mark.parametrize("size", [1, 30_000_000], ids=["small", "large"])
def test_a_refusal_is_told_however_much_there_is_to_send(logged_in, ponds, store, capsys, size):
    store.url = str(store.root)
    (ponds / "images/a.jpg").write_bytes(bytes(size))
    assert slipway("dataset", "push", ponds, "--name", "ponds") == 65
    assert "the store of this API is a folder, which no cluster sees" in capsys.readouterr().err
