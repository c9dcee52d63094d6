"""Every route asks for a token, and for a role; nothing that was sent as a token is logged."""

import hashlib
import logging

import pytest
import yaml
from fastapi.routing import APIRoute

from slipway.errors import SpecError
from slipway.events import EventFormatter
from slipway.http.tokens import Role, TokenFile, TokenSources, User, find_user, read_tokens
from tests.unit.api.conftest import SECRETS, TestClient, bearer

from services.api.app import create_app, routers
from services.api.context import ApiContext
from services.api.settings import ApiSettings

OPEN = {"/healthz", "/readyz"}
ROLES = {  # of those that more than a viewer is needed for
    ("POST", "/v1/runs"): Role.SUBMITTER,
    ("POST", "/v1/runs/{run}:cancel"): Role.SUBMITTER,
    ("POST", "/v1/runs/{run}:suspend"): Role.SUBMITTER,
    ("POST", "/v1/runs/{run}:resume"): Role.SUBMITTER,
    ("POST", "/v1/runs/{run}:retry"): Role.SUBMITTER,
    ("GET", "/v1/datasets/uploads/{id}"): Role.SUBMITTER,
    ("DELETE", "/v1/runs/{run}"): Role.ADMIN,
}


def test_every_route_refuses_who_has_no_good_token(app, client):
    """Also one with a body that is wrong: who is not known learns nothing of it."""
    routes = [(method, path) for method, path in operations(app) if path not in OPEN]
    assert ("POST", "/v1/runs") in routes
    for method, path in routes:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer nobodys"}, {"Authorization": "Basic eDp5"}):
            answer = client.request(method, fill(path), headers=headers, content=b"{")
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"


def test_every_route_refuses_a_role_that_is_too_low(app, client):
    for method, path in operations(app):
        required_role = ROLES.get((method, path), Role.SUBMITTER if method != "GET" else Role.VIEWER)
        for role in Role:
            if path not in OPEN and not role.includes(required_role):
                answer = client.request(method, fill(path), headers=bearer(role), content=b"{")
                assert answer.status_code == 403, (method, path, role)
                assert answer.json()["detail"].endswith(f"this needs {required_role}")


def operations(app):
    paths = app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def fill(path):
    return (
        path.replace("{run}", "ponds").replace("{name}@{sha}", f"ponds@{'ab' * 32}").replace("{", "").replace("}", "")
    )


def test_nothing_below_v1_is_left_out_of_the_description(app):
    paths = {route.path_format for router in routers() for route in router.routes if isinstance(route, APIRoute)}
    assert {path for path in paths if path.startswith("/v1")} == {p for _, p in operations(app) if p.startswith("/v1")}


def test_roles_include_those_below():
    assert Role.ADMIN.includes(Role.VIEWER)
    assert Role.SUBMITTER.includes(Role.SUBMITTER)
    assert not Role.VIEWER.includes(Role.SUBMITTER)


def test_a_token_that_is_added_or_removed_counts_at_once(client, tokens):
    crane = hashlib.sha256(b"new-one").hexdigest()
    tokens.write_text(yaml.safe_dump([{"name": "crane", "role": "viewer", "sha256": crane}]))
    assert client.get("/v1/runs").status_code == 401
    assert client.get("/v1/runs", headers={"Authorization": "Bearer new-one"}).status_code == 200


def test_a_slip_in_the_file_locks_nobody_out(client, tokens, events):
    tokens.write_text("- name: crane\n")
    assert client.get("/v1/runs").status_code == 200
    (fields,) = events("tokens_unreadable")
    assert "role: Field required" in fields["reason"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param("a: [", "not YAML", id="no-yaml"),
        pytest.param("- {name: crane, role: boss, sha256: abc}", "0.role: Input should be", id="unknown-role"),
        pytest.param("- {name: crane, role: admin, token: do-93ab}", "0.token: Extra inputs", id="token-in-clear"),
        pytest.param(
            f"- {{name: a, role: admin, sha256: {'ab' * 32}}}\n- {{name: b, role: viewer, sha256: {'ab' * 32}}}",
            "the same sha256",
            id="shared",
        ),
    ],
)
def test_a_wrong_tokens_file_is_refused_without_quoting_it(tmp_path, text, wrong):
    file = tmp_path / "tokens.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=wrong) as error_info:
        read_tokens(file)
    assert "do-93ab" not in str(error_info.value)


def test_an_absent_tokens_file_is_refused(tmp_path):
    with pytest.raises(SpecError, match="mount the tokens there"):
        TokenFile(tmp_path / "tokens.yaml")


def test_a_token_with_letters_of_any_kind_is_nobodys(tokens):
    assert find_user(read_tokens(tokens), "Grüße\udce4") is None


def test_no_token_and_no_body_is_in_any_log(client, caplog):
    caplog.set_level(logging.DEBUG)
    formatter = EventFormatter("api", "", "text")
    for headers in (bearer("admin"), {"Authorization": "Bearer wrong-secret"}, {"Authorization": "wrong-secret"}):
        client.post("/v1/runs", json={"spec": {"dataset": {"source": "s3://photos/secret-place"}}}, headers=headers)
        client.get("/v1/runs?page=wrong-secret", headers=headers)
    log_text = "\n".join(formatter.format(record) for record in caplog.records if record.name.startswith("slipway"))
    assert "event=request" in log_text
    for secret in (*SECRETS.values(), "wrong-secret", "secret-place"):
        assert secret not in log_text


def test_each_source_of_tokens_is_asked(cluster, store, tokens):
    class Provider:
        async def user(self, secret):
            return User("tern", Role.VIEWER) if secret == "from-elsewhere" else None

    context = ApiContext(cluster, store, ApiSettings(), TokenSources([TokenFile(tokens), Provider()]), lambda: "")
    client = TestClient(create_app(context))
    codes = [
        client.get("/v1/runs", headers={"Authorization": f"Bearer {secret}"}).status_code
        for secret in ("from-elsewhere", "see-5d1f", "from-nowhere")
    ]
    assert codes == [200, 200, 401]
