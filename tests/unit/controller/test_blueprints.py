import json

import pytest
import yaml

from slipway.run.spec import RunSpec, TrainingRun

from services.controller.manifests import Owner, StageAttempt, job, jobs_of_run, read_blueprints, service

IMAGES = {"data": "registry/slipway-data:1", "tf": "registry/slipway-tf:1"}
INGEST = """
apiVersion: batch/v1
kind: Job
metadata:
  name: ponds-ingest-1
  labels: &labels
    app.kubernetes.io/name: slipway
    app.kubernetes.io/component: ingest
    app.kubernetes.io/managed-by: slipway-controller
    slipway.dev/run: ponds
    slipway.dev/stage: ingest
    slipway.dev/attempt: "1"
  ownerReferences:
    - apiVersion: slipway.dev/v1alpha1
      kind: TrainingRun
      name: ponds
      uid: uid-1
      controller: true
      blockOwnerDeletion: false
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 604800
  podFailurePolicy:
    rules:
      - action: Ignore
        onPodConditions: [{type: DisruptionTarget}]
      - action: FailJob
        onExitCodes: {containerName: ingest, operator: In, values: [65]}
  template:
    metadata: {labels: *labels}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 120
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: ingest
          image: registry/slipway-data:1
          imagePullPolicy: IfNotPresent
          command: [python, -m, services.ingest]
          env:
            - {name: SLIPWAY_STORE, value: s3://slipway/lab}
            - {name: SLIPWAY_RUN, value: ponds}
            - {name: SLIPWAY_ATTEMPT, value: "1"}
          envFrom: [{secretRef: {name: slipway-s3}}]
          resources:
            requests: {cpu: 1, memory: 2Gi}
            limits: {memory: 4Gi}
          terminationMessagePolicy: FallbackToLogsOnError
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: shm, mountPath: /dev/shm}
      volumes:
        - {name: tmp, emptyDir: {}}
        - {name: shm, emptyDir: {medium: Memory}}
"""


@pytest.fixture
def made(settings):
    def make(stage="ingest", attempt=1, run="ponds", **spec):
        asked = RunSpec.model_validate({"dataset": {"source": "s3://photos/ponds"}, **spec})
        return job(StageAttempt(run, asked, stage, attempt, Owner(run, "uid-1")), settings, read_blueprints(), IMAGES)

    return make


def pod(manifest):
    return manifest["spec"]["template"]["spec"]


def test_a_stage_becomes_this_job(made):
    assert made() == yaml.safe_load(INGEST)


def test_preprocess_has_an_index_for_each_worker_and_ends_with_the_first_that_cannot(made):
    spec = made("preprocess", preprocess={"workers": 5})["spec"]
    names = ("completionMode", "completions", "parallelism", "backoffLimitPerIndex", "maxFailedIndexes")
    assert [spec[name] for name in names] == ["Indexed", 5, 5, 3, 0]
    assert "backoffLimit" not in spec


def test_the_trainer_has_the_evaluator_beside_it_and_only_its_own_exit_code_counts(made):
    manifest = made("train")
    (evaluator,), (trainer,) = pod(manifest)["initContainers"], pod(manifest)["containers"]
    assert (evaluator["name"], evaluator["restartPolicy"]) == ("evaluator", "Always")
    assert evaluator["command"] == ["sh", "-c", "sleep 5; exec python -m services.evaluator"]
    assert (trainer["name"], trainer["command"]) == ("trainer", ["python", "-m", "services.trainer"])
    assert evaluator["image"] == trainer["image"] == "registry/slipway-tf:1"
    rules = manifest["spec"]["podFailurePolicy"]["rules"]
    assert rules[1]["onExitCodes"]["containerName"] == "trainer"


def test_the_gpu_is_the_trainers_alone(made):
    manifest = made("train", train={"gpus": 2})
    (evaluator,), (trainer,) = pod(manifest)["initContainers"], pod(manifest)["containers"]
    assert trainer["resources"] == {"requests": {"cpu": 4}, "limits": {"memory": "16Gi", "nvidia.com/gpu": 2}}
    assert evaluator["resources"] == {"limits": {"memory": "4Gi"}}
    assert {"name": "CUDA_VISIBLE_DEVICES", "value": "-1"} in evaluator["env"]
    assert {"name": "CUDA_VISIBLE_DEVICES", "value": "-1"} not in trainer["env"]


def test_a_pool_decides_where_a_pod_goes(made):
    placed = pod(made("train", train={"gpus": 1}))
    assert placed["nodeSelector"] == {"slipway.dev/pool": "gpu"}
    assert placed["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert (placed["runtimeClassName"], placed["priorityClassName"]) == ("nvidia", "batch")
    assert placed["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}} in placed["volumes"]
    assert "nodeSelector" not in pod(made("ingest", train={"gpus": 1}))


def test_a_job_of_a_queue_is_born_suspended(made):
    manifest = made(queue="team-a")
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert manifest["spec"]["suspend"] is True


def test_the_deadline_of_a_training_leaves_its_own_time_limit_room(made):
    assert made("train", train={"timeLimit": 60})["spec"]["activeDeadlineSeconds"] == 604860
    assert made("export", train={"timeLimit": 60})["spec"]["activeDeadlineSeconds"] == 604800


def test_workers_find_each_other_by_a_service_and_by_tf_config(made, settings):
    manifest = made("train", train={"gpus": 1, "workers": 2})
    assert [manifest["spec"][name] for name in ("completionMode", "completions", "parallelism")] == ["Indexed", 2, 2]
    assert pod(manifest)["subdomain"] == "ponds-train-1"
    environment = {v["name"]: v for v in pod(manifest)["containers"][0]["env"]}
    config = json.loads(environment["TF_CONFIG"]["value"].replace("$(WORKER_INDEX)", "1"))
    hosts = ["ponds-train-1-0.ponds-train-1:2222", "ponds-train-1-1.ponds-train-1:2222"]
    assert config == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 1}}
    field = "metadata.labels['batch.kubernetes.io/job-completion-index']"
    assert environment["WORKER_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"] == field


def test_the_loss_of_one_worker_may_fail_every_pod_as_often_as_retries_allow(made):
    assert made("train")["spec"]["backoffLimit"] == 3
    assert made("train", train={"gpus": 1, "workers": 2})["spec"]["backoffLimit"] == 6


def test_the_service_of_the_workers_selects_their_pods_and_waits_for_none(made):
    spec = RunSpec.model_validate({"dataset": {"source": "s3://a/b"}, "train": {"workers": 2}})
    meeting = service(StageAttempt("ponds", spec, "train", 1, Owner("ponds", "uid-1")), read_blueprints())
    assert meeting["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "ports": [{"name": "grpc", "port": 2222}],
        "selector": {"slipway.dev/run": "ponds", "slipway.dev/stage": "train", "slipway.dev/attempt": "1"},
    }
    assert service(StageAttempt("ponds", spec, "ingest", 1), read_blueprints()) is None


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("ponds", "ponds-preprocess-12"),
        ("p" * 44, f"{'p' * 44}-preprocess-12"),
        ("p" * 52, f"{'p' * 35}-a535f5bb-preprocess-12"),
    ],
    ids=["short", "just-fits", "longest"],
)
def test_a_job_is_called_after_run_stage_and_attempt(made, run, name):
    assert made("preprocess", 12, run)["metadata"]["name"] == name
    assert len(f"{name}-255") <= 63


def test_containers_share_nothing_in_python(made):
    (evaluator,), (trainer,) = (pod(made("train"))[kind] for kind in ("initContainers", "containers"))
    assert evaluator["securityContext"] is not trainer["securityContext"]


@pytest.mark.parametrize("stage", ["ingest", "preprocess", "train", "export", "detect"])
def test_every_pod_is_restricted_and_has_no_token(made, stage):
    made_pod = pod(made(stage, train={"gpus": 1}))
    assert made_pod["automountServiceAccountToken"] is False
    context = made_pod["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*made_pod.get("initContainers", []), *made_pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_jobs_jobs_of_run_are_those_of_the_controller_but_owned_by_nobody(made, settings):
    spec = RunSpec.model_validate({"dataset": {"source": "s3://photos/ponds"}, "until": "preprocess"})
    first, second = jobs_of_run(TrainingRun.model_validate({"metadata": {"name": "ponds"}, "spec": spec}), settings)
    expected = made()
    del expected["metadata"]["ownerReferences"]
    # images come from the settings
    assert (first, second["metadata"]["name"]) == (expected, "ponds-preprocess-1")


def test_every_container_has_the_installations_variables_and_certificates(settings):
    settings = settings.model_copy(update={"env": {"HTTPS_PROXY": "http://proxy:3128"}, "ca_config_map": "company-ca"})
    work = StageAttempt("ponds", RunSpec.model_validate({"dataset": {"source": "s3://a/b"}}), "train", 1)
    pod = job(work, settings, read_blueprints(), IMAGES)["spec"]["template"]["spec"]
    assert {"name": "ca", "configMap": {"name": "company-ca"}} in pod["volumes"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert {"name": "ca", "mountPath": "/etc/slipway-ca", "readOnly": True} in container["volumeMounts"]
        assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
        assert {"name": "SLIPWAY_S3_CA_FILE", "value": "/etc/slipway-ca/ca.crt"} in container["env"]
