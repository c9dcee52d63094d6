"""The group, version, kinds and labels by which Kubernetes knows the objects of a run."""

from typing import Final, Literal

from slipway import API_VERSION

GROUP, VERSION = API_VERSION.split("/")

Kind = Literal["TrainingRun", "Job", "Pod", "Service", "Secret"]
PLURALS: Final[dict[Kind, str]] = {
    "TrainingRun": "trainingruns",
    "Job": "jobs",
    "Pod": "pods",
    "Service": "services",
    "Secret": "secrets",
}
PLURAL: Final = PLURALS["TrainingRun"]

RUN_LABEL: Final = "slipway.dev/run"
STAGE_LABEL: Final = "slipway.dev/stage"
ATTEMPT_LABEL: Final = "slipway.dev/attempt"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
JOB_LABEL: Final = "batch.kubernetes.io/job-name"
INDEX_LABEL: Final = "batch.kubernetes.io/job-completion-index"
