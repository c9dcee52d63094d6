import hashlib
import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml

from services.controller.__main__ import main
from services.controller.install.secrets import first_token, store_keys
from services.controller.settings import Settings

ROOT = Path(__file__).parents[3] / "manifests"
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.yaml"))
PODS = ["overlays/dev/all.yaml", "overlays/gpu/all.yaml", "jobs/jobs.yaml"]


def documents(name):
    return list(yaml.safe_load_all((ROOT / name).read_text()))


def named(document):
    return document["kind"], document["metadata"]["name"]


def settings(name):
    (found,) = (d for d in documents(name) if named(d) == ("ConfigMap", "slipway-settings"))
    return Settings.model_validate(yaml.safe_load(found["data"]["settings.yaml"]))


def pods(name):
    return [d["spec"]["template"]["spec"] for d in documents(name) if d["kind"] in ("Deployment", "Job")]


def printed(*arguments):
    out = io.StringIO()
    with redirect_stdout(out):
        assert main([str(argument) for argument in arguments]) == 0
    return out.getvalue()


def test_the_custom_resource_is_not_stale():
    file = ROOT.parent / "charts/slipway/files/crd.yaml"
    assert printed("--crd") == file.read_text(), "run make manifests"


def test_the_jobs_jobs_of_run_are_not_stale():
    made = printed("--jobs", ROOT / "jobs/run.yaml", "--settings", ROOT / "jobs/settings.yaml")
    assert made == (ROOT / "jobs/jobs.yaml").read_text(), "run make manifests"


def test_the_controller_may_do_this_and_nothing_else():
    (role,) = (d for d in documents("overlays/dev/all.yaml") if named(d) == ("Role", "slipway-controller"))
    rights = [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in role["rules"]]
    assert rights == [
        (["slipway.dev"], ["trainingruns"], ["get", "list", "watch"]),
        (["slipway.dev"], ["trainingruns/status"], ["update"]),
        (["batch"], ["jobs"], ["list", "watch", "create", "patch", "delete"]),
        ([""], ["pods"], ["list", "watch"]),
        ([""], ["services"], ["create"]),
    ]


def test_the_keys_may_make_secrets_and_nobody_reads_them():
    roles = [d for name in FILES for d in documents(name) if d.get("kind") == "Role"]
    of_secrets = {(named(d)[1], *r["verbs"]) for d in roles for r in d["rules"] if "secrets" in r["resources"]}
    assert of_secrets == {("slipway-keys", "create")}


def test_no_right_reaches_beyond_the_namespace():
    kinds = {d["kind"] for name in FILES for d in documents(name) if "kind" in d}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_restricted(name):
    for pod in pods(name):
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["imagePullPolicy"] == "IfNotPresent"
            assert "memory" in container["resources"]["limits"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_only_pods_that_talk_to_kubernetes_have_a_token():
    tokens = {name: [pod["automountServiceAccountToken"] for pod in pods(name)] for name in PODS}
    assert tokens == {
        "overlays/dev/all.yaml": [True, True, False, False, False, True],  # api, controller, detector, s3, …, keys
        "overlays/gpu/all.yaml": [True, True, True],
        "jobs/jobs.yaml": [False] * 5,
    }


@pytest.mark.parametrize("overlay", ["dev", "gpu"])
def test_the_settings_are_accepted(overlay):
    assert settings(f"overlays/{overlay}/all.yaml").store.secret == "slipway-s3"


def test_the_gpu_installation_has_a_pool_for_gpus():
    pool = settings("overlays/gpu/all.yaml").pools["gpu"]
    assert (pool.max_gpus, pool.node_selector) == (1, {"slipway.dev/pool": "gpu"})


@pytest.mark.parametrize("folder", ["base", "overlays/dev", "overlays/gpu"])
def test_an_installation_is_made_of_files_that_are_there(folder):
    (kustomization,) = documents(f"{folder}/kustomization.yaml")
    for name in kustomization["resources"]:
        assert (ROOT / folder / name).exists()


@pytest.mark.parametrize("overlay", ["dev", "gpu"])
def test_the_namespace_admits_restricted_pods_only(overlay):
    (namespace,) = documents(f"overlays/{overlay}/namespace.yaml")
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_made_keys_are_never_the_same():
    one, other = (store_keys("slipway-s3", "http://slipway-s3:7070")["stringData"] for _ in range(2))
    assert one["SLIPWAY_S3_ENDPOINT"] == "http://slipway-s3:7070"
    assert one.keys() == {"SLIPWAY_S3_ENDPOINT", "SLIPWAY_S3_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert one["AWS_SECRET_ACCESS_KEY"] != other["AWS_SECRET_ACCESS_KEY"]


def test_of_the_first_token_the_list_has_the_digest_only():
    one, other = (first_token("slipway-tokens")["stringData"] for _ in range(2))
    digest = hashlib.sha256(one["admin-token"].encode()).hexdigest()
    assert yaml.safe_load(one["tokens.yaml"]) == [{"name": "admin", "role": "admin", "sha256": digest}]
    assert one["admin-token"] != other["admin-token"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["--settings", "nowhere.yaml"], 65, "nowhere.yaml: No such file", id="no-settings"),
        pytest.param(["--jobs", "nowhere.yaml"], 65, "nowhere.yaml: No such file", id="no-run"),
        pytest.param(["--make-secret", "keys"], 65, "--make-secret needs --endpoint", id="no-endpoint"),
    ],
)
def test_what_cannot_be_read_is_told(arguments, code, says, capsys):
    assert main(arguments) == code
    assert says in capsys.readouterr().err
