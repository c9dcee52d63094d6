"""The queries of every panel of the dashboards, sent to the Prometheus that scrapes an installation.

Off unless `SLIPWAY_TEST_PROMETHEUS` is its address, such as that of a port-forward. Within the previous hour a run must
have succeeded, and the API and the detector must have been used.
"""

import os
import time

import pytest

from tests.dashboards import ask, has_shown, queries

ADDRESS = os.environ.get("SLIPWAY_TEST_PROMETHEUS", "").rstrip("/")
# Metrics that may have no series in a healthy installation, and why.
MAY_BE_SILENT = {
    "slipway_gpu_": "the installation has no GPU",
    "slipway_stage_retries_total": "no pod had to be started again",
    "slipway_stage_failures_total": "no stage has failed",
    "slipway_store_errors_total": "the store has answered all",
    "slipway_dataset_findings": "nothing was found in the dataset",
}
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not ADDRESS, reason="SLIPWAY_TEST_PROMETHEUS names no Prometheus"),
]


@pytest.fixture(scope="module")
def run():
    """Return the name of the run that has exported last."""
    newest = "topk(1, slipway_run_last_change_timestamp_seconds and on (run) slipway_export_bytes)"
    series = ask(ADDRESS, "/api/v1/query", query=newest)["result"]
    assert series, "no run has exported; submit one, and wait for its end"
    return series[0]["metric"]["run"]


@pytest.mark.parametrize("query", [*queries()], ids=lambda query: query.panel)
def test_a_panel_has_shown_something_within_the_hour(query, run):
    if has_shown(ADDRESS, query.filled(run), time.time()):
        return
    for name, reason in MAY_BE_SILENT.items():
        if name in query.expr and " or vector(0)" not in query.expr:
            pytest.skip(reason)
    pytest.fail(f"{query.panel}: nothing for {query.filled(run)}")


def test_no_alert_fires_where_nothing_is_wrong():
    firing = ask(ADDRESS, "/api/v1/query", query='ALERTS{alertname=~"Slipway.+", alertstate="firing"}')["result"]
    assert [alert["metric"] for alert in firing] == []
