"""Kubernetes in memory: a `Cluster` and an `ApiServer`, whose control plane and kubelet act at each `tick`."""

import copy
import json
from collections.abc import Callable, Iterator

from slipway import keys
from slipway.artifacts.outcome import RunStatus
from slipway.errors import ClusterRefused, Conflict
from slipway.store.interface import ObjectStore

from services.controller.kube.objects import Job, Pod, TrainingRunObject

BEST = {"step": 20, "split": "test", "chosen_on": "test", "metrics": {"AP": 0.5, "AP50": 0.8}}
RESULTS = {"ingest": {"dataset": "datasets/ponds/0ff1ce"}}


class FakeCluster:
    """Holds objects as JSON; `tick` advances everything but the controller.

    Attributes:
      log: Every change, as (verb, name), in order.
      quota: Number of Jobs that may exist.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.made_jobs: dict[str, dict] = {}
        self.made_pods: dict[str, list[dict]] = {}
        self.services: dict[str, dict] = {}
        self.log: list[tuple[str, str]] = []
        self.quota = 99
        self._version = 0

    def apply(self, name: str, **spec) -> dict:
        """Create a run, or change its spec, as a user does."""
        self._version += 1
        run = self.objects.setdefault(
            name,
            {
                "apiVersion": "slipway.dev/v1alpha1",
                "kind": "TrainingRun",
                "metadata": {"name": name, "uid": f"uid-{self._version}", "creationTimestamp": "2026-01-31T12:00:00Z"},
                "spec": {"dataset": {"source": "s3://photos/ponds"}},
            },
        )
        run["spec"] |= spec
        self._stamp(run)
        return run

    def pages(self, kind: str) -> Iterator[dict]:
        pods = [pod for job_pods in self.made_pods.values() for pod in job_pods]
        objects = {"TrainingRun": self.objects.values(), "Job": self.made_jobs.values(), "Pod": pods}[kind]
        yield {"metadata": {"resourceVersion": str(self._version)}, "items": copy.deepcopy(list(objects))}

    def get_run(self, name: str) -> dict | None:
        return copy.deepcopy(self.objects.get(name))

    def list_pods(self, job: str) -> list[dict]:
        return copy.deepcopy(self.made_pods.get(job, []))

    def run(self, name: str) -> TrainingRunObject | None:
        return TrainingRunObject.model_validate(self.objects[name]) if name in self.objects else None

    def jobs(self, run: str) -> list[Job]:
        jobs = map(Job.model_validate, self.made_jobs.values())
        return [job for job in jobs if job.metadata.labels["slipway.dev/run"] == run]

    def pods(self, job: str, latest: bool = False) -> list[Pod]:
        return [Pod.model_validate(pod) for pod in self.made_pods.get(job, [])]

    def live_pods(self, run: str) -> list[str]:
        made = [pod for pods in self.made_pods.values() for pod in pods if pod["status"].get("phase") == "Running"]
        return [pod["metadata"]["name"] for pod in made if pod["metadata"]["labels"]["slipway.dev/run"] == run]

    def confirm(self, run: TrainingRunObject) -> None:
        current_run = self.objects.get(run.name)
        if current_run is None or current_run["metadata"]["resourceVersion"] != run.metadata.resource_version:
            raise Conflict(f"TrainingRun {run.name} has changed since it was read")

    def create(self, manifest: dict) -> dict | None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        objects = {"Job": self.made_jobs, "Service": self.services}[kind]
        if name in objects:
            return None
        if kind == "Job" and len(objects) >= self.quota:
            raise ClusterRefused(f"create Job {name}: 403 exceeded quota: jobs, used: {len(objects)}", 403)
        objects[name] = copy.deepcopy(manifest)
        objects[name]["metadata"]["uid"] = f"uid-{self._stamp(objects[name])}"
        self.log.append(("create", name))
        return copy.deepcopy(objects[name])

    def patch_job(self, name: str, spec: dict) -> dict | None:
        if name not in self.made_jobs:
            return None
        self.made_jobs[name]["spec"] |= spec
        self._stamp(self.made_jobs[name])
        self.log.append(("patch", f"{name} {json.dumps(spec)}"))
        return copy.deepcopy(self.made_jobs[name])

    def delete_job(self, name: str) -> None:
        if name in self.made_jobs:
            self.made_jobs[name]["metadata"]["deletionTimestamp"] = "2026-01-31T12:00:00Z"
            self._stamp(self.made_jobs[name])
            self.log.append(("delete", name))

    def write_status(self, run: TrainingRunObject, status: RunStatus) -> None:
        self.replace_status(run.with_status(status))

    def replace_status(self, run: dict) -> dict:
        current_run = self.objects[run["metadata"]["name"]]
        if current_run["metadata"]["resourceVersion"] != run["metadata"]["resourceVersion"]:
            raise Conflict(f"write the status of {run['metadata']['name']}: 409 the object has been modified")
        self._stamp(current_run)
        current_run["status"] = copy.deepcopy(run["status"])
        return copy.deepcopy(current_run)

    def tick(self, store: ObjectStore, fails: Callable[[str], dict | None] = lambda job: None) -> None:
        """Advance each Job by one step: start, then end; Jobs that may expire are deleted at once.

        Args:
          fails: For a Job's name, the status of the pod that fails, or None.
        """
        for name, job in list(self.made_jobs.items()):
            status = job.setdefault("status", {})
            if "deletionTimestamp" in job["metadata"] or (
                status.get("conditions") and "ttlSecondsAfterFinished" in job["spec"]
            ):
                del self.made_jobs[name]
                self.made_pods.pop(name, None)
                continue
            if job["spec"].get("suspend"):
                status.pop("startTime", None)
            elif "startTime" not in status:
                status["startTime"] = "2026-01-31T12:00:01Z"
            elif not status.get("conditions"):
                self._end(name, job, store, fails(name))
            self._stamp(job)

    def _stamp(self, manifest: dict) -> int:
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        return self._version

    def _end(self, name: str, job: dict, store: ObjectStore, failed: dict | None) -> None:
        run, stage = (job["metadata"]["labels"][f"slipway.dev/{label}"] for label in ("run", "stage"))
        if failed is None:
            if stage == "train":
                store.write(keys.best(run), json.dumps(BEST).encode())
            store.write(keys.result(run, stage), json.dumps(RESULTS.get(stage, {})).encode())
        else:
            labels = {"batch.kubernetes.io/job-name": name}
            pod = {
                "metadata": {"name": f"{name}-x", "uid": f"uid-{name}-x", "labels": labels},
                "spec": {"nodeName": "node1"},
                "status": failed,
            }
            self._stamp(pod)
            self.made_pods[name] = [pod]
        end = {"type": "Complete" if failed is None else "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
        job["status"]["conditions"] = [end | {"lastTransitionTime": "2026-01-31T12:30:00Z"}]


def failed_pod(container: str, **terminated) -> dict:
    """Return the status of a pod whose container ended with these fields."""
    ended = {"exitCode": 1, "finishedAt": "2026-01-31T12:29:00Z"} | terminated
    return {"phase": "Failed", "containerStatuses": [{"name": container, "state": {"terminated": ended}}]}
