"""Tests of the pages of runs and datasets."""

import json
import re

import pytest

from tests.unit.api.auth.test_sessions import OURS
from tests.unit.api.conftest import SPEC, bearer

SHA = "ab" * 32
HOSTILE = "<script>alert(1)</script>"
STAGES = {
    "ingest": {"phase": "done", "startedAt": "2026-01-31T11:00:00Z", "finishedAt": "2026-01-31T11:00:20Z"},
    "train": {"phase": "running", "startedAt": "2026-01-31T11:30:00Z"},
}


@pytest.fixture
def ponds(cluster):
    """A run that trains."""
    notes = {"slipway.dev/owner": "crane"}
    cluster.create({"metadata": {"name": "ponds", "annotations": notes}, "spec": SPEC})
    return cluster.report(
        "ponds",
        state="RUNNING",
        stage="train",
        progress="1040/3000 steps",
        startedAt="2026-01-31T11:00:00Z",
        best={"step": 1000, "AP": 0.41, "AP50": 0.742},
        stages=STAGES,
    )


@pytest.fixture
def dataset(store):
    manifest = {
        "name": "ponds",
        "sha256": SHA,
        "labels": ["duck", HOSTILE],
        "splits": {
            "train": {"images": 53, "boxes": 150, "per_class": {"duck": 148, HOSTILE: 2}, "shards": 1},
            "test": {"images": 7, "boxes": 18, "per_class": {"duck": 18}, "shards": 1},
        },
        "median_size": [640, 480],
        "counts": {"box_outside_image": 3},
        "notes": ["Partitioned with 10% test."],
    }
    store.write(f"datasets/ponds/{SHA}/manifest.json", json.dumps(manifest).encode())
    store.write(f"datasets/ponds/{SHA}/report.html", b"<h1>ponds</h1>")


def words(answer):
    """Return what is on the page, without tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text.partition("<body>")[2]).split())


def test_an_empty_list_says_how_to_begin(client):
    answer = client.get("/")
    assert "No run yet" in answer.text
    assert "slipway login http://testserver" in answer.text
    assert 'href="/submit"' in answer.text


def test_who_may_only_look_is_not_told_to_submit(client):
    page = client.get("/", headers=bearer("viewer")).text
    assert "No run yet" in page
    assert "/submit" not in page


def test_the_list_says_how_each_run_stands(client, ponds):
    assert "ponds running train 1040/3000 steps 0.74 ponds crane" in words(client.get("/"))


def test_the_list_is_filtered_as_a_form_sends_it(client, ponds):
    assert "/runs/ponds" in client.get("/?name=&dataset=&state=RUNNING").text
    answer = client.get("/?name=pond&dataset=&state=FAILED")
    assert "No run matches" in answer.text
    assert 'value="pond"' in answer.text


def test_a_filter_that_is_wrong_is_said_on_a_page(client):
    answer = client.get("/?state=ASLEEP")
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")
    assert "PENDING" in answer.text


def test_older_runs_are_on_the_next_page_with_the_same_filter(client, cluster):
    for name in ("a-1", "a-2", "b-3"):
        cluster.create({"metadata": {"name": name}, "spec": SPEC})
    first = client.get("/?name=a-&limit=1").text
    older = re.search(r'href="([^"]+)">Older', first)[1].replace("&amp;", "&")
    assert "name=a-" in older
    second = client.get(older).text
    assert ("/runs/a-2" in first, "/runs/a-1" in first) == (True, False)
    assert ("/runs/a-2" in second, "/runs/a-1" in second) == (False, True)


def test_a_run_shows_stages_in_order_with_what_they_took(client, ponds):
    page = words(client.get("/runs/ponds"))
    assert "AP50 0.74 best, step 1,000" in page
    assert re.search(r"ingest done 20 s preprocess waiting train running 30 min export waiting detect waiting", page)
    assert "so far" in page


def test_a_run_that_lives_is_looked_at_again_and_one_that_has_ended_is_not(client, cluster, ponds):
    assert 'data-live="/runs/ponds/live"' in client.get("/runs/ponds").text
    live = client.get("/runs/ponds/live").text
    assert 'data-live="/runs/ponds/live"' in live
    assert "<html" not in live
    cluster.report("ponds", state="SUCCEEDED")
    assert "data-live" not in client.get("/runs/ponds/live").text


def test_a_failed_run_says_why(client, cluster, ponds):
    cluster.report("ponds", state="FAILED", reason=f"ingest: {HOSTILE} is no label")
    page = client.get("/runs/ponds").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; is no label" in page
    assert HOSTILE not in page


def test_curves_are_drawn_from_what_was_measured(client, store, ponds):
    progress = [{"step": 10, "loss": 1.7, "learning_rate": 0.001}, {"step": 20, "loss": float("nan")}]
    store.write("runs/ponds/train/progress.jsonl", "\n".join(map(json.dumps, progress)).encode())
    store.write("runs/ponds/evaluate/metrics.jsonl", b'{"step": 20, "split": "val", "AP": 0.2, "AP50": 0.5}\n')
    page = client.get("/runs/ponds").text
    for title in ("AP on val images", "Training loss", "Learning rate"):
        assert f'aria-label="{title}"' in page
    assert "<dd>nan</dd>" in page


def test_pictures_and_files_are_there_under_names_that_are_quoted(client, store, ponds):
    store.write('runs/ponds/detect/images/a "b"#1.jpg', b"jpeg")
    store.write("runs/ponds/export/model.tflite", b"x" * 7_400_000)
    page = client.get("/runs/ponds").text
    assert 'src="/v1/runs/ponds/artifacts/detect/images/a%20%22b%22%231.jpg"' in page
    assert "export/ 1 file 7.4 MB" in words(client.get("/runs/ponds"))
    assert client.get("/v1/runs/ponds/artifacts/detect/images/a%20%22b%22%231.jpg").content == b"jpeg"


def test_the_report_is_led_to_once_it_is_there(client, store, ponds):
    assert "/v1/runs/ponds/report" not in client.get("/runs/ponds").text
    store.write("runs/ponds/report.html", b"<h1>ponds</h1>")
    assert "/v1/runs/ponds/report" in client.get("/runs/ponds").text


@pytest.mark.parametrize(
    ("role", "state", "buttons"),
    [
        ("viewer", "RUNNING", []),
        ("submitter", "RUNNING", ["Cancel", "Suspend"]),
        ("submitter", "FAILED", ["Retry"]),
        ("submitter", "SUCCEEDED", []),
        ("admin", "SUCCEEDED", ["Delete"]),
    ],
)
@pytest.mark.usefixtures("ponds")
def test_buttons_are_those_that_role_and_state_allow(client, cluster, role, state, buttons):
    cluster.report("ponds", state=state)
    page = client.get("/runs/ponds", headers=bearer(role)).text
    assert re.findall(r"<button[^>]*>(Cancel|Suspend|Resume|Retry|Delete)</button>", page) == buttons


def test_a_button_changes_the_run_and_is_audited(client, cluster, ponds, events):
    answer = client.post("/runs/ponds/suspend", headers=OURS, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/ponds")
    assert cluster.objects["ponds"]["spec"]["suspend"] is True
    (fields,) = events("audit")
    assert [fields[name] for name in ("user", "action", "target", "outcome")] == [
        "crane",
        "run.suspend",
        "ponds",
        "done",
    ]
    assert "Resume</button>" in client.get("/runs/ponds").text


def test_what_the_state_forbids_is_said_on_a_page(client, cluster, ponds):
    cluster.report("ponds", state="SUCCEEDED")
    answer = client.post("/runs/ponds/cancel", headers=OURS)
    assert answer.status_code == 409
    assert "ponds is SUCCEEDED: there is nothing to cancel" in answer.text


def test_an_admin_deletes_a_run(client, cluster, ponds, events):
    answer = client.post("/runs/ponds/delete", headers=OURS | bearer("admin"), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert cluster.objects == {}
    assert events("audit")[0]["action"] == "run.delete"


def test_what_is_not_there_is_a_page_too(client):
    for path in ("/runs/ponds", f"/datasets/ponds@{SHA}"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "there is no" in answer.text
        assert answer.headers["content-type"].startswith("text/html")


def test_a_cluster_that_is_away_is_a_page_too(client, cluster):
    cluster.is_away = True
    answer = client.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "does not answer" in answer.text


def test_datasets_lead_to_training(client, dataset):
    page = client.get("/datasets").text
    assert f'href="/submit?dataset=ponds@{SHA}"' in page
    assert "ponds @abababab 60 168 2" in words(client.get("/datasets"))


def test_a_dataset_shows_what_it_holds_and_escapes_its_labels(client, dataset):
    answer = client.get(f"/datasets/ponds@{SHA}")
    assert HOSTILE not in answer.text
    page = words(answer)
    assert "duck 166 148 18" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 2 2 none" in page
    assert "box outside image 3" in page
    assert f"/v1/datasets/ponds@{SHA}/report" in answer.text


def test_every_page_forbids_scripts_styles_and_frames_of_others(client, ponds, dataset):
    for path in (
        "/",
        "/runs/ponds",
        "/runs/ponds/live",
        "/datasets",
        f"/datasets/ponds@{SHA}",
        "/submit",
        "/runs/none",
    ):
        answer = client.get(path)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", answer.text)


def test_nothing_that_a_run_wrote_runs_with_the_cookie(client, store, ponds):
    store.write("runs/ponds/export/page.html", HOSTILE.encode())
    store.write("runs/ponds/export/page.svg", HOSTILE.encode())
    store.write("runs/ponds/report.html", HOSTILE.encode())
    for path in ("artifacts/export/page.html", "artifacts/export/page.svg", "report"):
        answer = client.get(f"/v1/runs/ponds/{path}")
        assert answer.headers["content-security-policy"].endswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"
        is_saved = answer.headers.get("content-disposition", "").startswith("attachment")
        assert is_saved is (path != "report")


def test_style_and_script_are_served_without_a_token(client):
    page = client.get("/login").text
    for name, kind in (("pages.css", "text/css"), ("pages.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        address = re.search(rf'"(/static/{re.escape(name)}\?v=[0-9a-f]{{8}})"', page)[1]
        answer = client.get(address, headers={"Authorization": ""})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/app.py").status_code == 404
