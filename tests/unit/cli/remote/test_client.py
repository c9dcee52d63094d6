"""The client against a server that answers as it is told, over real connections."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.errors import EXIT_BUG, EXIT_INPUT, EXIT_RETRY, SpecError
from tests.fakes.scripted_server import good, problem, scripted_server

from services.cli.remote.client import Api, Call, Server, read_chunks
from services.cli.remote.errors import ApiBroken, ApiRefused, ApiUnavailable, printable

TOKEN = "tok-5d1f93ab"


@pytest.fixture
def server():
    with scripted_server() as http_server:
        yield http_server


@pytest.fixture
def api(server, monkeypatch):
    monkeypatch.setattr("slipway.retry._FIRST_PAUSE_SEC", 0.01)
    return Api(Server(f"http://127.0.0.1:{server.server_port}", TOKEN), patience_sec=0.5)


def test_a_call_sends_token_query_and_json(api, server):
    server.answers = [good({"a": 1})]
    assert api.json(Call("POST", "/v1/runs", {"limit": 2, "page": None}, {"spec": {}}, {"X-A": "b"})) == {"a": 1}
    (method, path, headers, body) = server.requests[0]
    assert (method, path, json.loads(body)) == ("POST", "/v1/runs?limit=2", {"spec": {}})
    assert (headers["Authorization"], headers["X-A"]) == (f"Bearer {TOKEN}", "b")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("trouble", ["hang up", problem(503), problem(429), (502, {}, b"<html>")], ids=str)
def test_what_passes_is_asked_again(api, server, trouble):
    server.answers = [trouble, good({"a": 1})]
    assert api.json(Call("GET", "/v1/runs")) == {"a": 1}
    assert len(server.requests) == 2


def test_patience_ends_with_75_and_is_announced_once(server, monkeypatch):
    monkeypatch.setattr("slipway.retry._FIRST_PAUSE_SEC", 0.01)
    notices = []
    api = Api(Server(f"http://127.0.0.1:{server.server_port}", TOKEN), 0.2, notices.append)
    server.answers = [problem(503, "the store is away")] * 50
    with pytest.raises(ApiUnavailable, match="the store is away") as error:
        api.json(Call("GET", "/v1/runs"))
    assert error.value.exit_code == EXIT_RETRY
    assert 2 < len(server.requests) < 50
    assert [line.partition(": ")[2] for line in notices] == ["the store is away; asking again for 0 s"]


def test_a_server_that_asks_for_more_time_than_there_is_patience_gets_none(api, server):
    status, headers, body = problem(429, "too often")
    server.answers = [(status, headers | {"Retry-After": "20"}, body)]
    with pytest.raises(ApiUnavailable, match="too often"):
        api.json(Call("GET", "/v1/runs"))


def test_nobody_there_is_told_without_the_librarys_words(monkeypatch):
    api = Api(Server("http://127.0.0.1:9", TOKEN), patience_sec=0)
    with pytest.raises(ApiUnavailable, match=r"^http://127.0.0.1:9: no answer: .*refused") as error:
        api.json(Call("GET", "/v1/runs"))
    assert "HTTPConnection" not in str(error.value)


def test_a_wrong_field_is_told_with_its_pointer_and_what_is_right(api, server):
    errors = [{"pointer": "/spec/train/preset", "detail": "there is no preset 'yolo'", "valid": ["a", "b"]}]
    server.answers = [problem(422, "x", errors=errors)]
    with pytest.raises(ApiRefused, match=r"/spec/train/preset: there is no preset 'yolo'; valid: a, b$") as error:
        api.json(Call("POST", "/v1/runs", body={}))
    assert (error.value.exit_code, error.value.status) == (EXIT_INPUT, 422)


def test_several_wrong_fields_are_a_line_each(api, server):
    errors = [{"pointer": "/a", "detail": "low"}, {"parameter": "limit", "detail": "high"}]
    server.answers = [problem(422, "x", errors=errors)]
    with pytest.raises(ApiRefused, match=r"2 fields are wrong:\n  /a: low\n  limit: high$"):
        api.json(Call("GET", "/v1/runs"))


def test_a_token_that_is_not_taken_says_how_to_log_in(api, server):
    server.answers = [problem(401, "the token is not known here")]
    with pytest.raises(ApiRefused, match="the token is not known here; log in with `slipway login URL`"):
        api.json(Call("GET", "/v1/runs"))


def test_a_servers_bug_is_not_asked_for_again_and_names_the_request(api, server):
    server.answers = [problem(500, "a bug", requestId="r-7")]
    with pytest.raises(ApiBroken, match=r"a bug \(status 500, request r-7\)") as error:
        api.json(Call("GET", "/v1/runs"))
    assert error.value.exit_code == EXIT_BUG


@pytest.mark.parametrize(
    "answer", [(200, {}, b"<html>hello</html>"), (404, {}, b"<html>"), (404, {}, b"[1]")], ids=["page", "404", "list"]
)
def test_a_server_that_is_none_of_ours_is_told_as_such(api, server, answer):
    server.answers = [answer]
    with pytest.raises(ApiRefused, match=r"not a Slipway API|status 404 without a reason"):
        api.json(Call("GET", "/v1/runs"))


def test_a_redirect_is_not_followed_so_the_token_goes_nowhere_else(api, server):
    server.answers = [(301, {"Location": "https://elsewhere.example/"}, b"")]
    with pytest.raises(ApiRefused, match=r"it points to https://elsewhere\.example/"):
        api.json(Call("GET", "/v1/runs"))
    assert len(server.requests) == 1


def test_a_whole_address_gets_the_token_on_the_own_server_only(api, server):
    address = f"http://127.0.0.1:{server.server_port}"
    server.answers = [good(1), good(1)]
    api.json(Call("PUT", f"{address}/part"))
    api.json(Call("PUT", f"http://localhost:{server.server_port}/part"))
    assert ["Authorization" in headers for _, _, headers, _ in server.requests] == [True, False]


def test_a_body_is_made_anew_for_each_try(api, server):
    server.answers = [problem(503), good(1)]
    headers = {"Content-Length": "6"}
    api.json(Call("PUT", "/part", body=lambda: iter([b"abc", b"def"]), headers=headers))
    assert [body for _, _, _, body in server.requests] == [b"abcdef", b"abcdef"]


def test_a_body_that_is_cut_short_is_no_answer(api, server):
    server.answers = [(200, {"Content-Length": "10"}, b"half")]
    with pytest.raises(ApiUnavailable), api.open(Call("GET", "/v1/x")) as response:
        list(read_chunks(response))


def test_a_followed_stream_goes_on_after_a_break(api, server):
    server.answers = [
        (200, {}, b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\nda"),
        "hang up",
        (200, {}, b"id: 3\ndata: c\n\nevent: end\ndata: SUCCEEDED\n\n"),
    ]
    assert [event.data for event in api.follow(Call("GET", "/v1/runs/r/logs"))] == ["a", "b", "c"]
    assert [headers.get("Last-Event-ID") for _, _, headers, _ in server.requests] == [None, "2", "2"]
    assert server.requests[0][2]["Accept"] == "text/event-stream"


def test_a_stream_that_never_says_anything_is_given_up(api, server):
    server.answers = [(200, {}, b"")] * 100
    with pytest.raises(ApiUnavailable, match="broke off"):
        list(api.follow(Call("GET", "/v1/runs/r/logs")))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://slipway.example", "not encrypted"),
        ("ftp://slipway.example", "not the address of an API"),
        ("slipway.example", "not the address of an API"),
        ("https://user:secret@slipway.example", "https://slipway.example: not the address"),
        ("https://slipway.example/?a=b", "not the address of an API"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url, says):
    with pytest.raises(SpecError, match=says) as error:
        Server(url, TOKEN)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000", "https://a.example/b"]
)
def test_loopback_and_https_are_taken(url):
    assert Server(url, TOKEN).url == url


def test_http_is_taken_when_it_is_asked_for():
    assert Server("http://slipway.example", TOKEN, insecure_http=True).insecure_http


def test_an_unencrypted_address_from_the_server_is_refused_too(api):
    with pytest.raises(SpecError, match="not encrypted"):
        api.json(Call("PUT", "http://store.example/part"))


@pytest.mark.parametrize("token", ["", "a b", "a\nHost: x", "tökén"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(token):
    with pytest.raises(SpecError, match="copy it again") as error:
        Server("https://slipway.example", token)
    assert not token or token not in str(error.value)


def test_a_server_shows_no_token():
    assert TOKEN not in repr(Server("https://slipway.example", TOKEN))


def test_control_characters_do_not_reach_the_terminal():
    assert printable("a\x1b[2Jb\x9bc\td") == "a�[2Jb�c\td"


@pytest.fixture
def certificate(tmp_path):
    """The PEM file of a key and the certificate that it signed for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slipway test")])
    now = datetime.now(UTC)
    certificate_object = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "server.pem"
    file.write_bytes(key.private_bytes(*form) + certificate_object.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def secure_url(server, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that does not trust it hangs up
    return f"https://127.0.0.1:{server.server_port}"


def test_a_certificate_that_is_not_trusted_says_how_to_trust_it(secure_url, server):
    with pytest.raises(ApiRefused, match=r"certificate is not trusted: .*--ca-file or SLIPWAY_API_CA_FILE"):
        Api(Server(secure_url, TOKEN)).json(Call("GET", "/v1/runs"))
    assert server.requests == []


def test_a_private_certificate_authority_can_be_trusted(secure_url, server, certificate):
    server.answers = [good(7)]
    assert Api(Server(secure_url, TOKEN, certificate)).json(Call("GET", "/v1/runs")) == 7
