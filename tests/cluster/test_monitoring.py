"""Every panel of the dashboards, asked of the Prometheus that scrapes an installation.

Off unless `SLIPWAY_TEST_PROMETHEUS` is its address, such as that of a port-forward. Within the hour before, a run must
have gone all its way, somebody must have used the API, and an image must have been sent to the detector.
"""

import os
import time

import pytest

from tests.dashboards import ask, has_shown, queries

ADDRESS = os.environ.get("SLIPWAY_TEST_PROMETHEUS", "").rstrip("/")
# Of an installation where nothing goes wrong these say nothing.
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
    """Name the run that has exported last."""
    newest = "topk(1, slipway_run_last_change_timestamp_seconds and on (run) slipway_export_bytes)"
    found = ask(ADDRESS, "/api/v1/query", query=newest)["result"]
    assert found, "no run has exported; submit one, and wait for its end"
    return found[0]["metric"]["run"]


@pytest.mark.parametrize("query", [*queries()], ids=lambda query: query.panel)
def test_a_panel_has_shown_something_within_the_hour(query, run):
    if has_shown(ADDRESS, query.filled(run), time.time()):
        return
    for name, why in MAY_BE_SILENT.items():
        if name in query.expr and " or vector(0)" not in query.expr:
            pytest.skip(why)
    pytest.fail(f"{query.panel}: nothing for {query.filled(run)}")


def test_no_alert_fires_where_nothing_is_wrong():
    firing = ask(ADDRESS, "/api/v1/query", query='ALERTS{alertname=~"Slipway.+", alertstate="firing"}')["result"]
    assert [alert["metric"] for alert in firing] == []
