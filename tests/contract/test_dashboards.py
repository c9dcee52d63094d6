"""The dashboards of charts/slipway/dashboards: their layout is valid, and Prometheus answers every query."""

import itertools
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pytest
import yaml

from tests.contract.charts import CHART, ROOT
from tests.contract.plausible import names, scrapes
from tests.dashboards import FILES, ask, has_shown, panels, queries
from tests.fakes.scripted_server import serving
from tests.ports import free_port
from tests.programs import require

SOURCES = sorted((ROOT / "charts/dashboards").glob("*.yaml"))
_COLUMNS = 24
_BUILT_IN = {"__rate_interval", "__value", "__url_time_range", "datasource"}


def ids(path):
    return path.stem


def places(path):
    return [panel["gridPos"] for panel in json.loads(path.read_text())["panels"]]


def overlap(one, other):
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_every_dashboard_is_made_from_its_source():
    sys.path.insert(0, str(ROOT / "charts"))
    try:
        from grafana import dashboard_json
    finally:
        sys.path.pop(0)
    assert [path.stem for path in FILES] == [path.stem for path in SOURCES]
    for source, path in zip(SOURCES, FILES, strict=True):
        assert dashboard_json(source) == path.read_text(), "run make manifests"


def test_dashboards_have_addresses_of_their_own():
    uids = [json.loads(path.read_text())["uid"] for path in FILES]
    assert uids == ["slipway-fleet", "slipway-run", "slipway-services", "slipway-store"]


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_panels_have_ids_of_their_own_and_do_not_overlap(path):
    numbers = [panel["id"] for panel in json.loads(path.read_text())["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert [place for place in places(path) if place["x"] + place["w"] > _COLUMNS or place["h"] < 1] == []
    assert [(a, b) for a, b in itertools.combinations(places(path), 2) if overlap(a, b)] == []


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_line_of_panels_leaves_no_gap(path):
    lines = {}
    for place in places(path):
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
    assert set(lines.values()) == {_COLUMNS}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_every_panel_says_what_it_shows_and_in_which_unit(path):
    for panel in panels(path):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [target["refId"] for target in panel["targets"]] == [*"ABCDEFGH"[: len(panel["targets"])]]


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_data_source_namespace_or_job_is_hard_coded(path):
    found = json.loads(path.read_text())
    sources = {json.dumps(target["datasource"]) for panel in panels(path) for target in [panel, *panel["targets"]]}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    expressions = " ".join(target["expr"] for panel in panels(path) for target in panel["targets"])
    assert not re.search(r'job|instance|namespace="', expressions)
    declared = {variable["name"] for variable in found["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", path.read_text())) <= declared | _BUILT_IN | {"__all"}


@pytest.mark.parametrize(
    "path", [*FILES, CHART / "files/rules.yaml", *sorted((CHART / "tests/alerts").glob("*.yaml"))], ids=ids
)
def test_a_query_names_only_metrics_that_exist(path):
    """A misspelled name is not an error to Prometheus: the panel stays empty, and the alert never fires."""
    assert set(re.findall(r"(?<![:\w])slipway_\w+", path.read_text())) <= names()


def test_prometheus_accepts_every_query(tmp_path):
    rules = [{"record": f"query:{number}", "expr": q.filled("ponds")} for number, q in enumerate(queries())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [require("promtool"), "check", "rules", tmp_path / "queries.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def metrics_handler():
    told = scrapes()

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self):
            body = next(told)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Metrics


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """Start Prometheus and an exporter, and yield its address once it has scraped the exporter a few times."""
    program = require("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    with serving(metrics_handler()) as exporter:
        target = {"targets": [f"127.0.0.1:{exporter.server_port}"], "labels": {"namespace": "lab", "pod": "a"}}
        scraping = {"job_name": "slipway", "scrape_interval": "1s", "static_configs": [target]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scraping]}))
        command = [program, f"--web.listen-address={address}", f"--config.file={folder}/prometheus.yml"]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen([*command, f"--storage.tsdb.path={folder}/data"], stderr=log)
        try:
            await_scrapes(f"http://{address}")
            yield f"http://{address}"
        finally:
            server.terminate()
            server.wait()


def await_scrapes(address):
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        with suppress(OSError):
            found = ask(address, "/api/v1/query", query="count_over_time(slipway_runs[1m]) > 4")["result"]
            if found:
                return
        time.sleep(0.5)
    raise TimeoutError(f"{address} has read nothing in a minute")


@pytest.mark.slow
def test_every_panel_shows_something_of_a_busy_installation(prometheus):
    now = time.time()
    silent = [q.panel for q in queries() if not has_shown(prometheus, q.filled("ponds"), now, seconds=2, step=1)]
    assert silent == []
