"""The alerts of charts/slipway/files/rules.yaml: each is played, and each has its page."""

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


def promtool(*words):
    done = subprocess.run([require("promtool"), *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def cases(*names):
    """Return the tests of these files, or of all but `healthy`."""
    files = [path for path in CASES if path.stem in names] if names else [p for p in CASES if p.stem != "healthy"]
    return [test for path in files for test in yaml.safe_load(path.read_text())["tests"]]


def played(fires):
    """Name the alerts of which some case expects that they fire, or that they do not."""
    found = set()
    for test in cases():
        for case in test.get("alert_rule_test", []):
            if bool(case["exp_alerts"]) == fires:
                found.add(case["alertname"])
        for case in test.get("promql_expr_test", []):
            if bool(case["exp_samples"]) == fires:
                found.add(re.search(r'alertname="(\w+)"', case["expr"])[1])
    return found


def metrics(text):
    """Name the metrics of an expression; what a rule records is none of them."""
    return set(re.findall(r"(?<![:\w])slipway_\w+", text))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_where_something_is_wrong_and_only_there(path):
    promtool("test", "rules", path)


def test_prometheus_takes_the_rules():
    promtool("check", "rules", RULES)


@pytest.mark.parametrize("variant", ["values.yaml", "ci/monitoring-values.yaml"])
def test_prometheus_takes_the_rules_that_the_chart_makes(variant, tmp_path):
    (rule,) = of_kind(render(variant, "--set", "monitoring.rules.enabled=true"), "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_the_chart_changes_nothing_unless_told():
    (rule,) = of_kind(render("values.yaml", "--set", "monitoring.rules.enabled=true"), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())


def test_every_alert_has_a_case_in_which_it_fires():
    assert played(fires=True) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_in_the_healthy_installation_an_alert_has_what_it_looks_at(alert):
    """Silence means something only where the alert could speak."""
    (healthy, *_) = cases("healthy")
    assert metrics(ALERTS[alert]["expr"]) <= metrics(str(healthy["input_series"]))


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_means_and_where_to_read_on(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operate.md#{alert.lower()}"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_page_that_says_what_to_do(alert):
    assert f"\n### {alert}\n" in RUNBOOK
    section = RUNBOOK.split(f"\n### {alert}\n")[1].split("\n#")[0]
    assert [word for word in ("Means: ", "Look at: ", "Do: ") if word not in section] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_the_table_of_alerts_says_what_is_so(alert):
    rule = ALERTS[alert]
    threshold = re.search(r"([0-9.]+)$", rule["expr"])
    (row,) = re.findall(rf"(?m)^\| \[{alert}\]\(#{alert.lower()}\) \|(.*)\|$", RUNBOOK)
    severity, said, lasting = (cell.strip() for cell in row.split("|"))
    assert (severity, lasting) == (rule["labels"]["severity"], rule.get("for", ""))
    assert said.split(" ")[0] == (threshold[1] if threshold else "")


def test_every_alert_of_the_pages_is_one():
    named = re.findall(r"(?m)^### (Slipway\w+)$", RUNBOOK)
    assert named == list(ALERTS)
