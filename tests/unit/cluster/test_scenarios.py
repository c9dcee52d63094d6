"""The scenarios of the tests on a cluster, compared with the chart's alerts."""

import re
from pathlib import Path

import yaml

from tests.cluster.scenarios import PACES, SCENARIOS, THRESHOLDS

RULES = Path(__file__).parents[3] / "charts/slipway/files/rules.yaml"


def alerts():
    """Return the alerts of the chart, once for each value that they give to the label `component`."""
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
    ]
    for rule in rules:
        components = re.findall(r'"component", "(\w+)"', rule["expr"])
        yield from [f"{rule['alert']}/{component}" for component in components] or [rule["alert"]]


def test_every_alert_has_a_scenario_on_a_cluster():
    assert {alert for scenario in SCENARIOS for alert in scenario.alerts} == {*alerts()}


def test_thresholds_and_paces_are_of_alerts_that_exist():
    assert {*THRESHOLDS, *PACES} <= {*alerts()}
