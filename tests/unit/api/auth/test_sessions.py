"""The cookie that a browser keeps: what it is good for, and what it is not."""

import hashlib
import re

import pytest
import yaml
from fastapi.routing import APIRoute

from slipway.http.tokens import Role
from tests.unit.api.conftest import SECRETS, SPEC, TestClient, bearer

from services.api.pages import form_routes as forms
from services.api.pages import routes as pages

OPEN = {("GET", "/login"), ("POST", "/login"), ("POST", "/logout"), ("GET", "/static/{name}")}
OURS = {"Origin": "http://testserver"}
FOREIGN = [
    pytest.param({}, id="says-nothing"),
    pytest.param({"Origin": "https://evil.example"}, id="another-site"),
    pytest.param({"Origin": "null"}, id="sandboxed"),
    pytest.param({"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"}, id="neighbour"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
]


@pytest.fixture
def anybody(app):
    return TestClient(app, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def crane(anybody):
    """A browser in which somebody who may submit has logged in."""
    log_in(anybody, "submitter")
    return anybody


def log_in(client, role, **fields):
    return client.post("/login", data={"token": SECRETS[role]} | fields, headers=OURS)


def page_routes():
    return [
        (method, route.path)
        for router in (pages.router, forms.router)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]


def fill(path):
    address = path.replace("{run}", "ponds").replace("{action}", "cancel").replace("{name}@{sha}", f"ponds@{'ab' * 32}")
    assert not re.search(r"[{}]", address), path
    return address


def test_every_page_leads_who_has_no_token_to_the_login(anybody):
    routes = [route for route in page_routes() if route not in OPEN]
    assert ("GET", "/") in routes
    assert ("POST", "/submit") in routes
    for cookies in ({}, {"slipway": "nobodys"}):
        anybody.cookies.clear()
        anybody.cookies.update(cookies)
        for method, path in routes:
            answer = anybody.request(method, fill(path), headers=OURS)
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/login"), (method, path)


def test_every_page_refuses_a_role_that_is_too_low(anybody):
    required_roles = {("GET", "/submit"): Role.SUBMITTER, ("POST", "/runs/{run}/delete"): Role.ADMIN}
    for role in Role:
        log_in(anybody, role)
        for method, path in set(page_routes()) - OPEN:
            least = required_roles.get((method, path), Role.SUBMITTER if method == "POST" else Role.VIEWER)
            answer = anybody.request(method, fill(path), headers=OURS)
            assert (answer.status_code == 403) is not role.includes(least), (method, path, role)


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(anybody):
    answer = log_in(anybody, "viewer")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("slipway=see-5d1f;")
    for attribute in ("httponly", "samesite=strict", "path=/", "max-age=43200"):
        assert attribute in cookie
    assert "secure" not in cookie


def test_over_https_the_cookie_is_secure_and_no_neighbour_can_set_it(app):
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    answer = client.post("/login", data={"token": SECRETS["viewer"]}, headers={"Origin": "https://testserver"})
    assert answer.headers["set-cookie"].startswith("__Host-slipway=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "domain" not in answer.headers["set-cookie"].lower()
    assert client.get("/").status_code == 200
    client.cookies.clear()
    client.cookies.set("slipway", SECRETS["viewer"])
    assert client.get("/").status_code == 303


def test_the_cookie_is_secure_behind_a_proxy_that_ends_tls(anybody):
    headers = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin"}
    answer = anybody.post("/login", data={"token": SECRETS["viewer"]}, headers=headers)
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert (name, "secure" in rest.lower()) == ("__Host-slipway", True)
    assert anybody.get("/", headers={"Cookie": f"{name}={rest.partition(';')[0]}"}).status_code == 200


def test_a_wrong_token_is_said_so_and_not_kept(anybody):
    answer = anybody.post("/login", data={"token": "wrong-secret", "next": "/datasets"}, headers=OURS)
    assert answer.status_code == 401
    assert "not known here" in answer.text
    assert 'value="/datasets"' in answer.text
    assert "wrong-secret" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("limits", [{"requestsPerSecond": 0.1, "burst": 2}])
def test_wrong_tokens_are_counted(anybody):
    codes = [anybody.post("/login", data={"token": "wrong"}, headers=OURS).status_code for _ in range(4)]
    assert codes == [401, 401, 429, 429]


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("/runs/ponds?a=1", "/runs/ponds?a=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
    ],
)
def test_the_login_leads_back_and_to_no_other_site(anybody, address, location):
    assert log_in(anybody, "viewer", next=address).headers["location"] == location


def test_where_one_wanted_to_go_is_remembered(anybody):
    assert anybody.get("/runs/ponds?a=1").headers["location"] == "/login?next=/runs/ponds%3Fa%3D1"


def test_a_link_on_another_site_finds_who_is_logged_in(crane):
    """Its request comes without the cookie; the one that the answer leads to is this site's own."""
    cookies = dict(crane.cookies)
    crane.cookies.clear()
    answer = crane.get("/runs/ponds", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/login?next=/runs/ponds"' in answer.text
    crane.cookies.update(cookies)
    assert crane.get("/login?next=/runs/ponds").headers["location"] == "/runs/ponds"


def test_logging_out_forgets_the_token(crane):
    assert crane.get("/").status_code == 200
    assert crane.post("/logout", headers=OURS).headers["location"] == "/login"
    assert crane.get("/").status_code == 303


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/login", "/logout", "/submit", "/runs/ponds/cancel", "/v1/runs/ponds:cancel"])
def test_a_change_that_another_origin_asks_for_is_refused(crane, cluster, path, headers):
    cluster.create({"metadata": {"name": "ponds"}, "spec": SPEC})
    answer = crane.post(path, data={"token": SECRETS["admin"], "/spec/dataset/source": "s3://a-b/c"}, headers=headers)
    assert answer.status_code == 403
    assert "does not come from a page of this address" in answer.text
    assert [*cluster.objects] == ["ponds"]
    assert "cancel" not in cluster.objects["ponds"]["spec"]
    assert "set-cookie" not in answer.headers


def test_a_program_with_a_bearer_token_needs_no_origin(client, cluster):
    cluster.create({"metadata": {"name": "ponds"}, "spec": SPEC})
    assert client.post("/v1/runs/ponds:cancel").status_code == 200


def test_the_cookie_reads_what_pages_show(crane, cluster):
    cluster.create({"metadata": {"name": "ponds"}, "spec": SPEC})
    assert crane.get("/v1/runs/ponds").status_code == 200
    assert crane.get("/v1/runs/ponds", headers={"Authorization": "Bearer nobodys"}).status_code == 401


def test_a_token_of_any_letters_comes_back_as_it_was(anybody, tokens):
    odd = 'a;b, c="ü%20'
    entry = {"name": "tern", "role": "viewer", "sha256": hashlib.sha256(odd.encode()).hexdigest()}
    tokens.write_text(yaml.safe_dump([entry]))
    anybody.post("/login", data={"token": odd}, headers=OURS)
    assert "tern" in anybody.get("/").text


def test_no_page_says_a_token(crane):
    for path in ("/", "/submit", "/datasets", "/login"):
        assert SECRETS["submitter"] not in crane.get(path).text


def test_a_bearer_token_opens_pages_too(anybody):
    assert anybody.get("/", headers=bearer("viewer")).status_code == 200
