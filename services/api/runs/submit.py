"""Submission of runs: each request makes one TrainingRun, even when it is sent more than once.

The object's name is the lock. With an Idempotency-Key it follows from user and key, unless the run file names the run.
Of two requests at the same time, the API server lets one create the object; the other compares itself with the
annotations of that object. A key that comes with a name belongs to that name: a second name under the same key is
refused when the first object is visible, but two requests at the same time with two names make two runs.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from slipway import API_VERSION, keys
from slipway.digests import sha256_json
from slipway.errors import AlreadyExists, MissingKey
from slipway.http.problems import Problem, invalid, wrong_field
from slipway.http.tokens import User
from slipway.kube.objects import KubernetesObject
from slipway.models import StrictModel
from slipway.run.names import Name
from slipway.run.presets import preset_names
from slipway.run.run_file import load_run
from slipway.run.spec import Metadata, RunSpec, TrainingRun
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.runs.run_object import OWNER, RunObject

BODY_DIGEST = "slipway.dev/body-sha256"
KEY_DIGEST = "slipway.dev/key-sha256"
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f]*)?")


class RequestMetadata(StrictModel):
    name: Name | None = None


class RunRequest(StrictModel):
    """A run file; its name may be absent."""

    api_version: Literal["slipway.dev/v1alpha1"] = API_VERSION
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: RequestMetadata = RequestMetadata()
    spec: RunSpec


@dataclass(frozen=True)
class Submission:
    """One run that a user submits.

    Attributes:
      user: Name of the user.
      key_digest: Digest of user and Idempotency-Key, if the request has one.
      body_digest: Digest of the request's content, the same for every way to write it.
      is_named: The run file names the run.
    """

    run: TrainingRun
    user: str
    key_digest: str | None
    body_digest: str
    is_named: bool

    @property
    def name(self) -> str:
        return self.run.metadata.name


def parse_request(body: bytes) -> RunRequest:
    """Parse a body. Raises `Problem` 400 if it is not JSON, 422 with a pointer to each wrong field."""
    try:
        return RunRequest.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is not JSON: {errors[0]['msg']}") from error
        raise invalid([e | {"loc": ("body", *e["loc"])} for e in errors], RunRequest) from error


def prepare(request: RunRequest, user: User, key: str | None) -> Submission:
    """Return the submission of a request; a run without a name is given one."""
    key_digest = hashlib.sha256(f"{user.name}\0{key}".encode()).hexdigest() if key else None
    name = request.metadata.name or f"run-{key_digest[:16] if key_digest else secrets.token_hex(8)}"
    run = TrainingRun(metadata=Metadata(name=name), spec=request.spec)
    body_digest = sha256_json(request.model_dump(mode="json", by_alias=True, exclude_none=True))
    return Submission(run, user.name, key_digest, body_digest, request.metadata.name is not None)


def check_spec(spec: RunSpec, store: ObjectStore) -> None:
    """Check everything about a run that can be known before it starts. Raises `Problem` 422."""
    source, ref, preset = spec.dataset.source, spec.dataset.ref, spec.train.preset
    if source is not None and not _S3.fullmatch(source):
        detail = "a cluster sees no folder: upload it with POST /v1/datasets, or give s3://bucket/prefix"
        raise wrong_field("/spec/dataset/source", f"{detail} (got {source!r})")
    if preset is not None and spec.train.custom_preset is None and preset not in preset_names():
        raise wrong_field("/spec/train/preset", f"there is no preset {preset!r}", preset_names())
    if ref is not None and store.stat(keys.manifest(keys.dataset(*ref.split("@")))) is None:
        raise wrong_field("/spec/dataset/ref", f"there is no dataset {ref}; GET /v1/datasets lists them")


def submit(submission: Submission, cluster: RunsCluster, store: ObjectStore) -> tuple[RunObject, bool]:
    """Create the TrainingRun, or return the one that the same request created before.

    Returns:
      The run, and whether this call created it.

    Raises:
      Problem: 409 where the name belongs to another run, 422 where the key came with another body.
    """
    check_spec(submission.run.spec, store)
    name = submission.name
    if submission.is_named and submission.key_digest:
        _check_key_has_one_name(submission.key_digest, name, cluster)
    may_exist = submission.is_named or submission.key_digest
    if may_exist and _has_results_of_another_run(submission.run, store) and cluster.get(name) is None:
        raise Problem(409, f"the name {name} belongs to an earlier run, whose results are kept", "name-taken")
    try:
        return RunObject(cluster.create(_manifest(submission))), True
    except AlreadyExists:
        return _existing_run(submission, cluster.get(name)), False


def _manifest(submission: Submission) -> KubernetesObject:
    annotations = {OWNER: submission.user, BODY_DIGEST: submission.body_digest}
    if submission.key_digest:
        annotations[KEY_DIGEST] = submission.key_digest
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingRun",
        "metadata": {"name": submission.name, "annotations": annotations},
        "spec": submission.run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _existing_run(submission: Submission, manifest: KubernetesObject | None) -> RunObject:
    """Return the run of that name if the same request created it. Raises `Problem` if not."""
    name, run = submission.name, RunObject(manifest) if manifest else None
    if run is None or run.metadata.deletion_timestamp is not None:
        raise Problem(409, f"the run {name} is being deleted; try again", "name-taken")
    annotations = run.metadata.annotations
    if submission.key_digest is None or annotations.get(KEY_DIGEST) != submission.key_digest:
        raise Problem(409, f"there is a run {name}; give this one another name", "name-taken")
    if annotations.get(BODY_DIGEST) != submission.body_digest:
        raise Problem(422, f"this Idempotency-Key came with another body before, for run {name}", "key-reused")
    return run


def _check_key_has_one_name(key_digest: str, name: str, cluster: RunsCluster) -> None:
    for run in map(RunObject, cluster.list()):
        if run.metadata.annotations.get(KEY_DIGEST) == key_digest and run.name != name:
            raise Problem(422, f"this Idempotency-Key came with another name before, {run.name}", "key-reused")


def _has_results_of_another_run(run: TrainingRun, store: ObjectStore) -> bool:
    """Check whether the store has another run under this name: the controller would refuse the new one."""
    try:
        return load_run(run.metadata.name, store).spec.digest() != run.spec.digest()
    except MissingKey:
        return False
