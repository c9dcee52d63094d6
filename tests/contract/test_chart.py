"""Every variant of the chart: it renders, its pods are restricted, and the services accept its settings."""

import json
import sys
from collections.abc import Iterator

import pytest
import yaml

from slipway.http.tokens import Role, User, find_user, read_tokens
from tests.contract.charts import CHART, ROOT, VARIANTS, containers, helm, named, of_kind, pods, render
from tests.contract.test_blueprints import MODELS, unknown

from services.api.settings import ApiSettings, Limits, Oidc
from services.controller.install.secrets import first_token
from services.controller.settings import Pool, Settings
from services.detector.serving.settings import DetectorSettings
from services.detector.serving.settings import Limits as DetectorLimits

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
EVERYTHING = ("--set", "s3.enabled=true,detector.enabled=true,tensorboard.enabled=true")


def properties(*names):
    schema = SCHEMA
    for name in names:
        schema = schema["properties"][name]
    return set(schema["properties"])


def fields(model):
    return {field.alias or name for name, field in model.model_fields.items()}


def keys(values, prefix=""):
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{name}.")


def objects(schema) -> Iterator[dict]:
    """Yield every object of a JSON schema that lists its properties."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        for inner in schema.values():
            yield from objects(inner)


def settings_of(manifests, name="slipway-settings", file="settings.yaml"):
    return yaml.safe_load(named(manifests, "ConfigMap", name)["data"][file])


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


def test_a_variant_passes_helms_own_check(variant):
    helm("lint", "--strict", "--quiet", str(CHART), "--values", str(CHART / variant))


def test_a_variant_has_only_fields_that_exist(variant):
    for manifest in render(variant):
        if manifest["kind"] not in (
            "HTTPRoute",
            "PodMonitor",
            "PrometheusRule",
        ):  # these are others', and the API server's to judge
            assert unknown(manifest, MODELS[manifest["kind"]].__name__) == []


def test_every_pod_of_a_variant_is_restricted(variant):
    for component, pod in pods(render(variant)):
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001), component
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_only_pods_that_talk_to_kubernetes_have_a_token(variant):
    having = {component for component, pod in pods(render(variant)) if pod["automountServiceAccountToken"]}
    assert having <= {"controller", "api", "keys"}


def test_no_role_reaches_beyond_the_namespace_or_reads_secrets(variant):
    manifests = render(variant)
    assert not of_kind(manifests, "ClusterRole", "ClusterRoleBinding")
    rules = [rule for role in of_kind(manifests, "Role") for rule in role["rules"]]
    assert {verb for rule in rules if "secrets" in rule["resources"] for verb in rule["verbs"]} <= {"create"}


def test_no_secret_is_rendered(variant):
    manifests = render(variant)
    assert not of_kind(manifests, "Secret")
    for config_map in of_kind(manifests, "ConfigMap"):
        assert not [word for word in ("KEY", "password", "admin-token") if word in json.dumps(config_map["data"])]
    for _, pod in pods(manifests):
        given = [variable for c in containers(pod) for variable in c.get("env", []) if "value" in variable]
        assert not [v["name"] for v in given if "KEY" in v["name"] or "TOKEN" in v["name"]]


def test_the_controller_accepts_the_settings_of_a_variant(variant):
    manifests = render(variant)
    name = next(m["metadata"]["name"] for m in of_kind(manifests, "ConfigMap") if "settings.yaml" in m["data"])
    settings = Settings.model_validate(settings_of(manifests, name))
    assert settings.images.tf.split("/")[-1].startswith("slipway-tf")


def test_the_api_accepts_its_settings():
    given = {"pageSize": 7, "limits": {"burst": 3}, "oidc": {"issuer": "https://id", "audience": "a", "roles": {}}}
    settings = settings_of(
        render("values.yaml", "--set-json", f"api.settings={json.dumps(given)}"), "slipway-api", "api.yaml"
    )
    assert ApiSettings.model_validate(settings).limits.burst == 3


def test_the_api_knows_the_first_token_that_the_chart_has_made(tmp_path):
    made = first_token("slipway-tokens")["stringData"]
    (tmp_path / "tokens.yaml").write_text(made["tokens.yaml"])
    assert find_user(read_tokens(tmp_path / "tokens.yaml"), made["admin-token"]) == User("admin", Role.ADMIN)


def test_the_api_finds_its_tokens_where_they_are_mounted():
    (container,) = named(render(), "Deployment", "slipway-api")["spec"]["template"]["spec"]["containers"]
    (folder,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "settings")
    assert f"{folder}/tokens/tokens.yaml" == str(ApiSettings().tokens)


def test_the_detector_finds_its_tokens_and_its_settings_where_they_are_mounted():
    given = {"models": ["harbour"], "limits": {"atOnce": 3}}
    manifests = render("values.yaml", *EVERYTHING, "--set-json", f"detector.settings={json.dumps(given)}")
    settings = DetectorSettings.model_validate(settings_of(manifests, "slipway-detector", "detector.yaml"))
    assert (settings.models, settings.limits.at_once) == (["harbour"], 3)
    (container,) = named(manifests, "Deployment", "slipway-detector")["spec"]["template"]["spec"]["containers"]
    (folder,) = (m["mountPath"] for m in container["volumeMounts"] if m["name"] == "settings")
    assert f"{folder}/tokens/tokens.yaml" == str(settings.tokens)
    assert f"{folder}/detector.yaml" in container["args"]


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        pytest.param("Deployment", "slipway-controller", "settings.retries=7", id="settings"),
        pytest.param("Deployment", "slipway-api", "api.settings.pageSize=7", id="api-settings"),
        pytest.param("Deployment", "slipway-detector", "detector.settings.keptModels=7", id="detector-settings"),
    ],
)
def test_a_pod_is_replaced_when_its_settings_change(kind, name, change):
    before, after = render("values.yaml", *EVERYTHING), render("values.yaml", *EVERYTHING, "--set", change)
    assert named(before, kind, name)["spec"]["template"] != named(after, kind, name)["spec"]["template"]


def test_a_job_that_would_change_has_another_name():
    before, after = (of_kind(render("values.yaml", "--set", f"images.tag={tag}"), "Job") for tag in ("one", "two"))
    assert before[0]["metadata"]["name"] != after[0]["metadata"]["name"]


def test_everything_at_once_and_a_training_fit_two_cores():
    manifests = render("values.yaml", *EVERYTHING)
    settings = settings_of(manifests)
    asked = [settings["pools"]["cpu"]["resources"], settings["evaluator"]]
    asked += [c["resources"] for kind, pod in pods(manifests) if kind != "test" for c in pod["containers"]]
    assert sum(int(r["requests"]["cpu"].removesuffix("m")) for r in asked) <= 1500  # leaves the node its own share


def test_an_unknown_key_is_refused_by_its_name():
    said = helm("template", "slipway", str(CHART), "--set", "api.replica=2", fails=True)
    assert "'/api': additional properties 'replica' not allowed" in said


def test_no_object_of_the_schema_accepts_unlisted_keys():
    assert [schema for schema in objects(SCHEMA) if schema.get("additionalProperties") is not False] == []


def test_every_value_is_in_the_table_of_the_readme():
    sys.path.insert(0, str(ROOT / "charts"))
    try:
        from readme import readme
    finally:
        sys.path.pop(0)
    assert readme(CHART) == (CHART / "README.md").read_text(), "run make manifests"


def test_every_variant_is_described_in_the_readme():
    text = (CHART / "README.md").read_text()
    assert [name for name in VARIANTS[1:] if f"]({name})" not in text] == []


def test_the_chart_accepts_every_setting_of_the_controller():
    made_by_the_chart = {"env", "caConfigMap"}
    assert properties("settings") | made_by_the_chart == fields(Settings)
    assert set(SCHEMA["$defs"]["pool"]["properties"]) == fields(Pool)


def test_the_chart_accepts_every_setting_of_the_api_but_the_path_of_its_tokens():
    assert properties("api", "settings") == fields(ApiSettings) - {"tokens"}
    assert properties("api", "settings", "limits") == fields(Limits)
    assert properties("api", "settings", "oidc") == fields(Oidc)


def test_the_chart_accepts_every_setting_of_the_detector_but_the_path_of_its_tokens():
    assert properties("detector", "settings") == fields(DetectorSettings) - {"tokens"}
    assert properties("detector", "settings", "limits") == fields(DetectorLimits)
