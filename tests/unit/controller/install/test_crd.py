import pytest
from pydantic import ValidationError

from slipway.artifacts.outcome import RunStatus
from slipway.run.spec import RunSpec

from services.controller.install.crd import crd, flatten

VERSION = crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
MINIMAL = {"dataset": {"source": "s3://photos/ponds"}}


def filled_in(schema, given):
    """Return the object as the API server keeps it: with defaults, and without fields that it does not know."""
    if schema.get("type") != "object" or "properties" not in schema:
        return given
    fields = {}
    for name, inner in schema["properties"].items():
        if name in given:
            fields[name] = filled_in(inner, given[name])
        elif "default" in inner:
            fields[name] = filled_in(inner, inner["default"])
    return fields


def bounds(schema, prefix=""):
    """Yield each number's name, type, and its values just inside and just outside of its range."""
    for name, inner in schema["properties"].items():
        if "properties" in inner:
            yield from bounds(inner, f"{prefix}{name}.")
        elif inner["type"] in ("integer", "number"):
            small = inner.get("multipleOf", 1 if inner["type"] == "integer" else 1e-6)
            for bound, outwards in (("minimum", -small), ("maximum", small)):
                if bound in inner:
                    is_open = inner.get(f"exclusive{bound.capitalize()}", False)
                    inside = inner[bound] - outwards * is_open
                    yield f"{prefix}{name}", inside, inside + outwards


def asked(name, value):
    *path, last = name.split(".")
    fields = {last: value}
    for part in reversed(path):
        preset = {"base": "retinanet_resnet10_320", "minSteps": 1, "maxSteps": 10_000_000}
        fields = {part: preset | fields if part == "customPreset" else fields}
    return MINIMAL | fields


def walk(schema):
    yield schema
    for inner in [*schema.get("properties", {}).values(), *(schema[k] for k in ("items",) if k in schema)]:
        yield from walk(inner)


def test_it_is_served_as_trun_with_a_status_of_its_own():
    spec = crd()["spec"]
    assert crd()["metadata"]["name"] == "trainingruns.slipway.dev"
    assert (spec["names"]["kind"], spec["names"]["shortNames"], spec["scope"]) == (
        "TrainingRun",
        ["trun"],
        "Namespaced",
    )
    assert VERSION["subresources"] == {"status": {}}


def test_kubectl_get_shows_stage_progress_ap50_and_age():
    columns = {column["name"]: column["jsonPath"] for column in VERSION["additionalPrinterColumns"]}
    assert columns == {
        "Stage": ".status.stage",
        "State": ".status.state",
        "Progress": ".status.progress",
        "AP50": ".status.best.AP50",
        "Age": ".metadata.creationTimestamp",
    }


def test_defaults_of_the_schema_are_those_of_the_run():
    kept = filled_in(SPEC, MINIMAL)
    assert kept == RunSpec.model_validate(MINIMAL).model_dump(by_alias=True, exclude_none=True)
    assert RunSpec.model_validate(kept).digest() == RunSpec.model_validate(MINIMAL).digest()


@pytest.mark.parametrize(("name", "inside", "outside"), list(bounds(SPEC)), ids=str)
def test_ranges_of_the_schema_are_those_of_the_run(name, inside, outside):
    RunSpec.model_validate(asked(name, inside))
    with pytest.raises(ValidationError):
        RunSpec.model_validate(asked(name, outside))


def test_a_field_looks_like_this():
    assert SPEC["properties"]["train"]["properties"]["imageSize"] == {
        "type": "integer",
        "minimum": 64,
        "maximum": 2048,
        "multipleOf": 32,
        "description": "Side of the square input, pixels; a multiple of 32.",
    }
    assert SPEC["properties"]["ingest"]["properties"]["testRatio"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "exclusiveMaximum": True,
        "description": "Share of the images that become the test split; overrides a split that comes with the source.",
    }


def test_fields_of_model_garden_are_kept_as_they_are():
    overrides = SPEC["properties"]["train"]["properties"]["overrides"]
    assert (overrides["type"], overrides["x-kubernetes-preserve-unknown-fields"]) == ("object", True)


def test_the_schema_is_structural():
    for schema in walk(SCHEMA):
        assert "type" in schema
        assert not schema.keys() & {"$ref", "anyOf", "$defs", "title", "const"}
        assert schema.get("additionalProperties") is not False


def test_of_a_live_run_only_suspend_cancel_and_attempt_may_change():
    rules = [rule["rule"] for rule in SPEC["x-kubernetes-validations"]]
    for name in SPEC["properties"]:
        is_held = any(f"self.{name} == oldSelf.{name}" in rule for rule in rules)
        assert is_held == (name not in ("suspend", "cancel", "attempt")), name
    assert "self.attempt >= oldSelf.attempt" in rules


def test_a_status_keeps_what_the_schema_has():
    status = RunStatus.model_validate({"state": "RUNNING", "best": {"step": 1, "AP": 0.1, "AP50": 0.2}, "newer": 1})
    kept = filled_in(flatten(RunStatus), status.content())
    assert RunStatus.model_validate(kept) == status
