"""A run that is asked for over HTTP becomes an object, once.

The object's name is the lock. With an Idempotency-Key it follows from user and key, unless the run file names the run;
of two requests at once the API server makes one object, and the other finds what that one asked for in its annotations.
A key that comes with a name belongs to that name: a second name under the same key is refused as far as the first is
seen, and two at once under one key with two names are two runs.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from slipway import API_VERSION, keys
from slipway.digests import sha256_json
from slipway.errors import AlreadyExists, MissingKey
from slipway.http.problems import Problem, invalid, wrong_field
from slipway.http.tokens import User
from slipway.kube.objects import KubernetesObject
from slipway.run.names import Name
from slipway.run.presets import preset_names
from slipway.run.run_file import load_run
from slipway.run.spec import Metadata, RunSpec, TrainingRun
from slipway.store.interface import ObjectStore

from services.api.kube.runs import RunsCluster
from services.api.runs.listing import OWNER

BODY = "slipway.dev/body-sha256"
KEY = "slipway.dev/key-sha256"
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f]*)?")


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class RequestMetadata(_Model):
    name: Name | None = None


class RunRequest(_Model):
    """A run file, whose name may be left out."""

    api_version: Literal["slipway.dev/v1alpha1"] = API_VERSION
    kind: Literal["TrainingRun"] = "TrainingRun"
    metadata: RequestMetadata = RequestMetadata()
    spec: RunSpec


@dataclass(frozen=True)
class Asked:
    """One submission.

    Attributes:
      key: Digest of user and Idempotency-Key, if one was given.
      body: Digest of what was asked, however it was written.
      is_named: The run file names the run.
    """

    run: TrainingRun
    owner: str
    key: str | None
    body: str
    is_named: bool


def parse(body: bytes) -> RunRequest:
    """Read a body. Raises `Problem` 400 where it is no JSON, 422 with a pointer to each wrong field."""
    try:
        return RunRequest.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise Problem(400, f"the body is not JSON: {errors[0]['msg']}") from error
        raise invalid([e | {"loc": ("body", *e["loc"])} for e in errors], RunRequest) from error


def asked(request: RunRequest, user: User, key: str | None) -> Asked:
    """Name the run that is asked for."""
    digest = hashlib.sha256(f"{user.name}\0{key}".encode()).hexdigest() if key else None
    name = request.metadata.name or f"run-{digest[:16] if digest else secrets.token_hex(8)}"
    run = TrainingRun(metadata=Metadata(name=name), spec=request.spec)
    body = sha256_json(request.model_dump(mode="json", by_alias=True, exclude_none=True))
    return Asked(run, user.name, digest, body, request.metadata.name is not None)


def check(spec: RunSpec, store: ObjectStore) -> None:
    """See that the run can be had, as far as that can be seen from here. Raises `Problem` 422."""
    source, ref, preset = spec.dataset.source, spec.dataset.ref, spec.train.preset
    if source is not None and not _S3.fullmatch(source):
        said = "a cluster sees no folder: upload it with POST /v1/datasets, or give s3://bucket/prefix"
        raise wrong_field("/spec/dataset/source", f"{said} (got {source!r})")
    if preset is not None and preset not in preset_names():
        raise wrong_field("/spec/train/preset", f"there is no preset {preset!r}", preset_names())
    if ref is not None and store.size(keys.manifest(keys.dataset(*ref.split("@")))) is None:
        raise wrong_field("/spec/dataset/ref", f"there is no dataset {ref}; GET /v1/datasets lists them")


def submit(asked: Asked, cluster: RunsCluster, store: ObjectStore) -> tuple[KubernetesObject, bool]:
    """Make the run's object, or find it made by the same request before.

    Returns:
      The object, and whether this call made it.

    Raises:
      Problem: 409 where the name is another's, 422 where the key came with another body.
    """
    check(asked.run.spec, store)
    name = asked.run.metadata.name
    if asked.is_named and asked.key:
        _check_name_of_key(asked.key, name, cluster)
    may_be_known = asked.is_named or asked.key
    if may_be_known and _is_of_another(asked.run, store) and cluster.get(name) is None:
        raise Problem(409, f"the name {name} belongs to an earlier run, whose results are kept", "name-taken")
    try:
        return cluster.create(_manifest(asked)), True
    except AlreadyExists:
        return _repeated(asked, cluster.get(name)), False


def _manifest(asked: Asked) -> KubernetesObject:
    notes = {OWNER: asked.owner, BODY: asked.body} | ({KEY: asked.key} if asked.key else {})
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingRun",
        "metadata": {"name": asked.run.metadata.name, "annotations": notes},
        "spec": asked.run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _repeated(asked: Asked, there: KubernetesObject | None) -> KubernetesObject:
    """Return the object that was there already, if the same request made it."""
    name = asked.run.metadata.name
    if there is None or "deletionTimestamp" in there["metadata"]:
        raise Problem(409, f"the run {name} is being deleted; try again", "name-taken")
    notes = there["metadata"].get("annotations", {})
    if asked.key is None or notes.get(KEY) != asked.key:
        raise Problem(409, f"there is a run {name}; give this one another name", "name-taken")
    if notes.get(BODY) != asked.body:
        raise Problem(422, f"this Idempotency-Key came with another body before, for run {name}", "key-reused")
    return there


def _check_name_of_key(key: str, name: str, cluster: RunsCluster) -> None:
    for there in cluster.list():
        other = there["metadata"]["name"]
        if there["metadata"].get("annotations", {}).get(KEY) == key and other != name:
            raise Problem(422, f"this Idempotency-Key came with another name before, {other}", "key-reused")


def _is_of_another(run: TrainingRun, store: ObjectStore) -> bool:
    """Say whether the store keeps results of another run under this name: the controller would refuse this one."""
    try:
        return load_run(run.metadata.name, store).spec.digest() != run.spec.digest()
    except MissingKey:
        return False
