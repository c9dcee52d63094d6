"""Logs, events and metrics: what is there, what is new, and the end."""

import json

import pytest

from slipway.errors import StoreUnavailable
from tests.unit.api.conftest import SPEC

from services.api.logs.event_stream import ServerEvent

STREAM = {"Accept": "text/event-stream"}
TRAIN = "runs/ponds/logs/train/1/train-0-1769860800-7"


@pytest.fixture
def ponds(cluster):
    cluster.create({"metadata": {"name": "ponds"}, "spec": SPEC})
    cluster.report("ponds", state="RUNNING")
    return "/v1/runs/ponds"


def events_of(text):
    """Read a stream's events as (event, data, id)."""
    events = []
    for block in text.strip("\n").split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n")]
        fields = dict(lines)
        events.append((fields["event"], "\n".join(v for k, v in lines if k == "data"), fields.get("id")))
    return events


@pytest.fixture
def script_changes(cluster):
    """Apply each change just before a read: the first before the second read, and so on."""

    def script(*changes):
        get, coming = (
            cluster.get,
            iter([lambda: None, lambda: None, *changes]),
        )  # the route looks too, whether it is there

        def changing(name):
            next(coming, lambda: None)()
            return get(name)

        cluster.get = changing

    return script


def test_logs_come_in_the_order_in_which_the_stages_ran(client, store, ponds):
    store.write(f"{TRAIN}-0001.log", b"train, later\n")
    store.write("runs/ponds/logs/train/2/train-0-1769860900-8-0000.log", b"train again\n")
    store.write(f"{TRAIN}-0000.log", b"train\n")
    store.write("runs/ponds/logs/train/1/controller-0000.log", b"evicted\n")
    store.write("runs/ponds/logs/ingest/1/ingest-0-1769860700-1-0000.log", b"ingest\n")
    store.write("runs/ponds/logs/evaluate/1/evaluate-0-1769860801-9-0000.log", b"evaluate\n")
    answer = client.get(f"{ponds}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == ["ingest", "train", "train, later", "evicted", "train again", "evaluate"]
    assert client.get(f"{ponds}/logs?stage=train&attempt=2").text == "train again\n"
    assert client.get(f"{ponds}/logs?stage=export").text == ""


def test_a_stage_that_does_not_exist_is_answered_with_those_that_do(client, ponds):
    answer = client.get(f"{ponds}/logs?stage=eval")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["valid"] == ["ingest", "preprocess", "train", "evaluate", "export", "detect"]


def test_a_log_stream_brings_new_lines_and_ends_with_the_run(client, cluster, store, ponds, script_changes):
    store.write(f"{TRAIN}-0000.log", b"one\ntwo\nthr")
    script_changes(
        lambda: store.write(f"{TRAIN}-0000.log", b"one\ntwo\nthree\n"),
        lambda: store.write(f"{TRAIN}-0001.log", b"four"),
        lambda: cluster.report("ponds", state="SUCCEEDED"),
    )
    answer = client.get(f"{ponds}/logs", headers=STREAM)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [(name, data) for name, data, _ in events_of(answer.text)] == [
        ("log", "one\ntwo"),
        ("log", "three"),
        ("log", "four"),
        ("end", "SUCCEEDED"),
    ]


def test_a_log_stream_goes_on_where_it_was(client, cluster, store, ponds):
    store.write(f"{TRAIN}-0000.log", b"one\n")
    store.write("runs/ponds/logs/evaluate/1/evaluate-0-1769860801-9-0000.log", b"measured\n")
    cluster.report("ponds", state="FAILED")
    first = events_of(client.get(f"{ponds}/logs", headers=STREAM).text)
    assert [data for _, data, _ in first] == ["one", "measured", "FAILED"]
    store.write(f"{TRAIN}-0000.log", b"one\ntwo\n")
    second = client.get(f"{ponds}/logs", headers=STREAM | {"Last-Event-ID": first[0][2]})
    assert [data for _, data, _ in events_of(second.text)] == ["two", "measured", "FAILED"]
    second = client.get(f"{ponds}/logs", headers=STREAM | {"Last-Event-ID": first[1][2]})
    assert [data for _, data, _ in events_of(second.text)] == ["two", "FAILED"]


def test_an_id_that_nobody_gave_counts_as_none(client, cluster, store, ponds):
    store.write(f"{TRAIN}-0000.log", b"one\n")
    cluster.report("ponds", state="FAILED")
    answer = client.get(f"{ponds}/logs", headers=STREAM | {"Last-Event-ID": "00:-1,zz,abcdabcd:99"})
    assert [data for _, data, _ in events_of(answer.text)] == ["one", "FAILED"]


def test_logs_can_be_followed_as_text(client, cluster, store, ponds, script_changes):
    store.write(f"{TRAIN}-0000.log", b"one\n")
    script_changes(
        lambda: store.write(f"{TRAIN}-0000.log", b"one\ntwo\n"), lambda: cluster.report("ponds", state="SUCCEEDED")
    )
    answer = client.get(f"{ponds}/logs?follow=true")
    assert answer.text == "one\ntwo\n"


def test_a_long_log_comes_in_pieces_and_whole(client, cluster, store, ponds):
    lines = b"".join(b"%07d a line of a log that grew long\n" % number for number in range(60_000))
    store.write(f"{TRAIN}-0000.log", lines)
    cluster.report("ponds", state="SUCCEEDED")
    assert client.get(f"{ponds}/logs?follow=true").content == lines


def test_a_stream_outlasts_a_store_that_is_away(client, cluster, store, ponds, monkeypatch):
    store.write(f"{TRAIN}-0000.log", b"one\n")
    cluster.report("ponds", state="SUCCEEDED")
    scan, failures = store.scan, iter([1, 2, 3])

    def flaky(prefix=""):
        if next(failures, None):
            raise StoreUnavailable("no answer; try again")
        return scan(prefix)

    monkeypatch.setattr(store, "scan", flaky)
    answer = client.get(f"{ponds}/logs", headers=STREAM)
    assert [data for _, data, _ in events_of(answer.text)] == ["one", "SUCCEEDED"]


def test_events_are_the_run_whenever_it_has_changed(client, cluster, ponds, script_changes):
    script_changes(
        lambda: cluster.report("ponds", progress="10/20 steps"), lambda: cluster.report("ponds", state="SUCCEEDED")
    )
    events = events_of(client.get(f"{ponds}/events").text)
    assert [name for name, _, _ in events] == ["run", "run", "run", "end"]
    runs = [json.loads(data) for name, data, _ in events if name == "run"]
    assert runs[0]["metadata"]["name"] == "ponds"
    assert [run["status"].get("progress") for run in runs] == [None, "10/20 steps", "10/20 steps"]
    assert runs[2]["status"]["state"] == "SUCCEEDED"


def test_events_leave_out_what_was_seen(client, cluster, ponds):
    cluster.report("ponds", state="SUCCEEDED")
    events = events_of(client.get(f"{ponds}/events").text)
    second = client.get(f"{ponds}/events", headers={"Last-Event-ID": events[0][2]})
    assert events_of(second.text) == [("end", "SUCCEEDED", None)]


def test_events_end_when_the_run_is_deleted(client, cluster, ponds, script_changes):
    script_changes(lambda: cluster.delete("ponds"))
    assert events_of(client.get(f"{ponds}/events").text)[-1] == ("end", "there is no run ponds", None)


def test_a_failed_run_that_is_to_be_tried_again_has_not_ended(client, cluster, ponds, script_changes):
    cluster.report("ponds", state="FAILED", attempt=1)
    client.post(f"{ponds}:retry")
    script_changes(lambda: cluster.report("ponds", state="SUCCEEDED", attempt=2))
    states = [
        json.loads(data)["status"]["state"] for name, data, _ in events_of(client.get(f"{ponds}/events").text)[:-1]
    ]
    assert states == ["FAILED", "SUCCEEDED"]


def test_streams_are_counted_and_limited(app, client, ponds):
    app.state.streams._max_streams = 0
    answer = client.get(f"{ponds}/events")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:slipway:problem:too-many-streams"
    assert app.state.metrics.registry.get_sample_value("slipway_http_streams") == 0


def test_streams_end_when_the_process_does(app, client, ponds, script_changes):
    script_changes(lambda: setattr(app.state.streams, "is_closing", True))
    assert [name for name, _, _ in events_of(client.get(f"{ponds}/events").text)] == ["run"]


def test_a_quiet_stream_shows_that_it_is_there(client, cluster, ponds, monkeypatch, script_changes):
    monkeypatch.setattr("services.api.logs.event_stream._HEARTBEAT_SEC", 0.0)
    script_changes(lambda: None, lambda: None, lambda: cluster.report("ponds", state="SUCCEEDED"))
    assert "\n\n: still here\n\n" in client.get(f"{ponds}/events").text


def test_a_line_end_inside_of_an_event_does_not_end_it():
    assert str(ServerEvent("10%\r20%\r\nx", "log", "7")) == "id: 7\nevent: log\ndata: 10%\ndata: 20%\ndata: x\n\n"


def test_metrics_are_the_trainings_course(client, store, ponds):
    store.write("runs/ponds/train/progress.jsonl", b'{"step": 10, "loss": NaN, "learning_rate": 0.1}\n')
    store.write(
        "runs/ponds/evaluate/metrics.jsonl", b'{"step": 10, "split": "test", "AP": 0.4, "AP50": 0.8, "ARmax1": 0.1}\n'
    )
    assert client.get(f"{ponds}/metrics").json() == {
        "progress": [{"step": 10, "loss": None, "learningRate": 0.1}],
        "evaluations": [{"step": 10, "split": "test", "AP": 0.4, "AP50": 0.8, "ARmax1": 0.1}],
    }


def test_a_line_that_is_cut_short_hides_no_other(client, store, ponds, events):
    store.write("runs/ponds/train/progress.jsonl", b'{"step": 10, "loss": 1.5, "total_loss": 2.5}\n{"step": 20, "lo')
    answer = client.get(f"{ponds}/metrics")
    assert answer.json() == {"progress": [{"step": 10, "loss": 1.5, "totalLoss": 2.5}], "evaluations": []}
    (fields,) = events("line_unreadable")
    assert fields["reason"].startswith("runs/ponds/train/progress.jsonl line 2: is not JSON")


def test_metrics_of_a_run_that_has_not_begun_to_train_are_empty(client, ponds):
    assert client.get(f"{ponds}/metrics").json() == {"progress": [], "evaluations": []}


@pytest.mark.parametrize("what", ["logs", "events", "metrics"])
def test_what_an_unknown_run_says_is_not_found(client, what):
    assert client.get(f"/v1/runs/ponds/{what}", headers=STREAM).status_code == 404
