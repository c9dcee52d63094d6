"""A Prometheus on this machine that scrapes a release's pods, and the chart's rules in fast time."""

import copy
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.release import Release
from tests.dashboards import ask
from tests.ports import free_port

FASTER = 20  # a quarter of an hour becomes 45 s
_DURATION = re.compile(r"(?<=[\[ ])(\d+)([mhd])(?=[\])\s])|^(\d+)([mhd])$")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}


def in_fast_time(rules: Mapping[str, Any], thresholds: Mapping[str, float], paces: Mapping[str, int]) -> dict[str, Any]:
    """Return the rules with every duration divided by the alert's pace, or by `FASTER`, and these thresholds."""
    fast = copy.deepcopy(dict(rules))
    for rule in (rule for group in fast["groups"] for rule in group["rules"]):
        pace = paces.get(rule.get("alert"), FASTER)
        for part in rule.keys() & {"expr", "for"}:
            rule[part] = _DURATION.sub(partial(_divided, pace), rule[part])
        if rule.get("alert") in thresholds:
            rule["expr"] = re.sub(r"[0-9.]+$", str(thresholds[rule["alert"]]), rule["expr"])
    return fast


def _divided(pace: int, duration: re.Match[str]) -> str:
    number, unit = duration[1] or duration[3], duration[2] or duration[4]
    return f"{int(number) * _SECONDS[unit] // pace}s"


class Prometheus:
    """A Prometheus server.

    Attributes:
      address: Its URL.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def now(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the series of an instant, by their labels without the metric's name."""
        result = ask(self.address, "/api/v1/query", query=query)["result"]
        return {tuple(sorted(s["metric"].items())): float(s["value"][1]) for s in result}

    def fired(self, since: float) -> set[str]:
        """Return the alerts that have fired since then, as `SlipwayServerDown/api` where one has a `component`."""
        firing = 'ALERTS{alertstate="firing"}'
        now = time.time()
        result = ask(self.address, "/api/v1/query_range", query=firing, start=since, end=now, step=1)["result"]
        return {"/".join(filter(None, map(series["metric"].get, ("alertname", "component")))) for series in result}

    def await_fired(self, since: float, alerts: frozenset[str], timeout_sec: float) -> frozenset[str]:
        """Wait until these alerts have fired since then, or for `timeout_sec`; return those that have not."""
        deadline = time.monotonic() + timeout_sec
        while (missing := alerts - self.fired(since)) and time.monotonic() < deadline:
            time.sleep(2)
        return missing


def by_annotations() -> dict[str, Any]:
    """Return a configuration that scrapes, every second, the pods whose annotations ask for it."""
    pod = "__meta_kubernetes_pod"
    relabel = [
        {"source_labels": [f"{pod}_annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{pod}_phase"], "regex": "Running", "action": "keep"},
        {"source_labels": [f"{pod}_annotation_prometheus_io_path"], "target_label": "__metrics_path__"},
        {
            "source_labels": [f"{pod}_ip", f"{pod}_annotation_prometheus_io_port"],
            "separator": ":",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{pod}_name"], "target_label": "pod"},
    ]
    discovery = [{"role": "pod"}]
    job = {"job_name": "slipway", "kubernetes_sd_configs": discovery, "relabel_configs": relabel}
    return {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [job]}


@contextmanager
def prometheus(folder: Path, release: Release, configuration: Any, rules: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Start a Prometheus that scrapes the release's pods, whose addresses must be reachable from this machine.

    Some builds, such as Debian's, cannot discover the pods of Kubernetes, so a file lists them.

    Args:
      folder: A new folder for its files.
      configuration: Without rules.
    """
    address = f"127.0.0.1:{free_port()}"
    folder.mkdir()
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_by_file(configuration)))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with _discovery(folder / "pods.json", release), (folder / "log").open("w") as log:
        server = subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=log)
        try:
            _await_answer(f"http://{address}")
            yield Prometheus(f"http://{address}")
        finally:
            server.terminate()
            server.wait()


def _by_file(configuration: Any) -> dict[str, Any]:
    new_configuration = copy.deepcopy(configuration)
    for job in new_configuration["scrape_configs"]:
        del job["kubernetes_sd_configs"]
        job["file_sd_configs"] = [{"files": ["pods.json"], "refresh_interval": "5s"}]
    return {**new_configuration, "rule_files": ["rules.yaml"]}


@contextmanager
def _discovery(file: Path, release: Release) -> Iterator[None]:
    """Keep a file of the targets that Prometheus' discovery of the role `pod` finds in the release's namespace."""
    stop = threading.Event()

    def write_often() -> None:
        while not stop.wait(2):
            with suppress(AssertionError):
                new_file = file.with_suffix(".tmp")
                new_file.write_text(json.dumps([*_targets(release.get("pods")["items"])]))
                new_file.rename(file)

    file.write_text("[]")
    thread = threading.Thread(target=write_often)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _targets(pods: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pod in (pod for pod in pods if pod["status"].get("podIP")):
        metadata, status = pod["metadata"], pod["status"]
        conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
        pod_labels = {"name": metadata["name"], "ip": status["podIP"], "phase": status["phase"], "uid": metadata["uid"]}
        pod_labels["ready"] = conditions.get("Ready", "Unknown").lower()
        for kind in ("label", "annotation"):
            for name, value in metadata.get(f"{kind}s", {}).items():
                pod_labels[f"{kind}_{_label_name(name)}"] = value
                pod_labels[f"{kind}present_{_label_name(name)}"] = "true"
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", []):
                number = str(port["containerPort"])
                container_labels = {"name": container["name"], "port_name": port.get("name", ""), "port_number": number}
                labels = pod_labels | {f"container_{name}": value for name, value in container_labels.items()}
                meta = {f"__meta_kubernetes_pod_{name}": value for name, value in labels.items()}
                meta["__meta_kubernetes_namespace"] = metadata["namespace"]
                yield {"targets": [f"{status['podIP']}:{number}"], "labels": meta}


def _label_name(label: str) -> str:
    return re.sub(r"\W", "_", label)


def _await_answer(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            urllib.request.urlopen(f"{address}/-/ready", timeout=5).close()
            return
        time.sleep(0.5)
    raise TimeoutError(f"{address} is not ready after a minute")
