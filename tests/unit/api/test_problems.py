"""Every error answer has the same form, whatever part of the API raises it."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.errors import (
    AnnotationError,
    ClusterRefused,
    ClusterUnavailable,
    MissingKey,
    StoreRefused,
    StoreUnavailable,
)
from slipway.http.problems import field_errors, pointer, problem_of


class Crate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    weight: int


class Cargo(BaseModel):
    model_config = ConfigDict(extra="forbid")
    crates: list[Crate] = []
    lid: Crate | None = None


def test_a_problem_has_all_that_rfc_9457_names(client):
    answer = client.get("/v1/nowhere", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Not Found",
        "instance": "/v1/nowhere",
        "requestId": "abc-1",
    }


def test_a_method_that_is_not_served_is_answered_with_those_that_are(client):
    answer = client.put("/v1/presets")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["title"] == "Method Not Allowed"


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        ({"crates": [{"weight": 1}, {"weight": "much"}]}, [("/crates/1/weight", None)]),
        ({"crates": [], "a/b~c": 1}, [("/a~1b~0c", ["crates", "lid"])]),
        ({"lid": {"weight": 1, "colour": "red"}}, [("/lid/colour", ["weight"])]),
    ],
)
def test_a_pointer_leads_to_the_wrong_field(content, errors):
    with pytest.raises(ValidationError) as error_info:
        Cargo.model_validate(content)
    problem_errors = field_errors([e | {"loc": ("body", *e["loc"])} for e in error_info.value.errors()], Cargo)
    assert [(error.pointer, error.valid) for error in problem_errors] == errors


def test_the_whole_document_is_the_empty_pointer():
    assert pointer([]) == ""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnavailable("no answer"), 503),
        (StoreRefused("no such bucket"), 503),
        (ClusterUnavailable("no answer"), 503),
        (ClusterRefused("quota", 403), 503),
        (ClusterRefused("wrong field", 422), 422),
        (AnnotationError("a box leaves its image"), 422),
        (MissingKey("no such key"), 404),
    ],
)
def test_an_error_of_ours_is_the_clients_or_not(error, status):
    assert problem_of(error).status_code == status


def test_who_can_try_again_is_told_when():
    assert problem_of(StoreUnavailable("no answer")).headers == {"Retry-After": "5"}


def test_why_something_is_away_is_a_line_of_the_log(client, cluster, events):
    cluster.is_away = True
    answer = client.get("/v1/runs/ponds")
    reason = "the API server does not answer; try again"
    assert events("unavailable") == [{"reason": reason, "request_id": answer.headers["x-request-id"]}]


def test_a_bug_is_answered_without_what_it_was(client, cluster, caplog):
    def fail(name):
        raise ZeroDivisionError("the secret reason")

    cluster.get = fail
    answer = client.get("/v1/runs/ponds")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["requestId"]
    assert "bug in slipway" in answer.json()["detail"]
    assert "secret" not in answer.text
    assert "ZeroDivisionError: the secret reason" in caplog.text
