"""The alerts of charts/slipway/files/rules.yaml: each has a promtool case and a section in the runbook."""

import re
import subprocess

import pytest
import yaml

from tests.contract.charts import CHART, ROOT, of_kind, render
from tests.programs import require

RULES = CHART / "files/rules.yaml"
CASES = sorted((CHART / "tests/alerts").glob("*.yaml"))
RUNBOOK = (ROOT / "docs/operate.md").read_text()
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def promtool(*arguments):
    result = subprocess.run([require("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def cases(*names):
    """Return the tests of these files, or of all but `healthy`."""
    files = [path for path in CASES if path.stem in names] if names else [p for p in CASES if p.stem != "healthy"]
    return [test for path in files for test in yaml.safe_load(path.read_text())["tests"]]


def alerts_with_a_case(fires):
    """Return the alerts for which some case expects that they fire, or that they do not."""
    alerts = set()
    for test in cases():
        for case in test.get("alert_rule_test", []):
            if bool(case["exp_alerts"]) == fires:
                alerts.add(case["alertname"])
        for case in test.get("promql_expr_test", []):
            if bool(case["exp_samples"]) == fires:
                alerts.add(re.search(r'alertname="(\w+)"', case["expr"])[1])
    return alerts


def metrics(text):
    """Return the metrics of an expression, without recorded rules."""
    return set(re.findall(r"(?<![:\w])slipway_\w+", text))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_where_something_is_wrong_and_only_there(path):
    promtool("test", "rules", path)


def test_prometheus_accepts_the_rules():
    promtool("check", "rules", RULES)


@pytest.mark.parametrize("variant", ["values.yaml", "ci/monitoring-values.yaml"])
def test_prometheus_accepts_the_rules_of_the_chart(variant, tmp_path):
    (rule,) = of_kind(render(variant, "--set", "monitoring.rules.enabled=true"), "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_the_chart_changes_no_rule_by_default():
    (rule,) = of_kind(render("values.yaml", "--set", "monitoring.rules.enabled=true"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())


def test_every_alert_has_a_case_in_which_it_fires():
    assert alerts_with_a_case(fires=True) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_the_healthy_installation_has_every_metric_of_an_alert(alert):
    """Without the metrics of an alert, a case in which it does not fire would prove nothing."""
    (healthy, *_) = cases("healthy")
    assert metrics(ALERTS[alert]["expr"]) <= metrics(str(healthy["input_series"]))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_severity_annotations_and_a_link_to_the_runbook(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operate.md#{alert.lower()}"


@pytest.mark.parametrize("alert", ALERTS)
def test_the_runbook_has_meaning_and_action_of_an_alert(alert):
    assert f"\n### {alert}\n" in RUNBOOK
    section = RUNBOOK.split(f"\n### {alert}\n")[1].split("\n#")[0]
    assert [word for word in ("Means: ", "Look at: ", "Do: ") if word not in section] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_the_table_of_alerts_has_severity_threshold_and_duration(alert):
    rule = ALERTS[alert]
    threshold = re.search(r"([0-9.]+)$", rule["expr"])
    (row,) = re.findall(rf"(?m)^\| \[{alert}\]\(#{alert.lower()}\) \|(.*)\|$", RUNBOOK)
    severity, threshold_text, duration = (cell.strip() for cell in row.split("|"))
    assert (severity, duration) == (rule["labels"]["severity"], rule.get("for", ""))
    assert threshold_text.split(" ")[0] == (threshold[1] if threshold else "")


def test_every_alert_in_the_runbook_exists():
    named = re.findall(r"(?m)^### (Slipway\w+)$", RUNBOOK)
    assert named == list(ALERTS)
