import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from slipway.errors import InputError, MissingKey, SpecError, StoreRefused, StoreUnavailable
from slipway.store.interface import list_keys
from slipway.store.s3 import object as s3_object
from slipway.store.s3.client import connect
from slipway.store.s3.settings import KeyFiles, Keys, S3Settings, WebIdentity
from slipway.store.s3.store import MinioStore

KEYS = Keys("harbourmaster", "rope-and-anchor")
DIGEST = "x-amz-meta-slipway-sha256"


@dataclass
class Reply:
    """The server's answer to one request.

    Attributes:
      cut: End the connection after so many bytes of the body.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


def error(status, code, more="", **headers):
    body = f"<Error><Code>{code}</Code><Message>It is so.</Message>{more}</Error>".encode()
    return Reply(status, body, {"Content-Type": "application/xml", **headers})


def stored(content, digest=None):
    return Reply(200, content, {DIGEST: digest or hashlib.sha256(content).hexdigest(), "ETag": '"1"'})


class Line(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, self.headers))
        reply = self.server.replies.pop(0)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut] if self.command != "HEAD" else b"")
        self.close_connection = reply.cut is not None

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server that gives prepared replies, one after the other, and notes what it was asked."""
    line = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    line.asked, line.replies = [], []
    line.url = f"http://127.0.0.1:{line.server_port}"
    thread = threading.Thread(target=line.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield line
    line.shutdown()
    thread.join()
    line.server_close()
    assert line.replies == []


@pytest.fixture
def store(server):
    return MinioStore("s3://slipway/deep", S3Settings(server.url, KEYS, "us-east-1"), patience_sec=5)


def methods(server):
    return [method for method, _, _ in server.asked]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(error(503, "SlowDown"), id="too-fast"),
        pytest.param(error(500, "InternalError"), id="trouble"),
        pytest.param(error(400, "RequestTimeout"), id="waited-too-long-for-us"),
        pytest.param(Reply(502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}), id="proxy"),
        pytest.param(Reply(429), id="too-many"),
        pytest.param(Reply(200, b"12345", cut=2), id="half-a-body"),
        pytest.param(stored(b"54321", digest="0" * 64), id="damaged-on-the-way"),
    ],
)
def test_what_passes_is_asked_again(server, store, first):
    server.replies = [first, stored(b"12345")]
    assert store.read("a") == b"12345"
    assert methods(server) == ["GET", "GET"]


def test_asking_again_is_logged_once(server, store, caplog):
    server.replies = [error(503, "SlowDown"), error(503, "SlowDown"), stored(b"1")]
    store.read("a")
    [record] = caplog.records
    assert record.getMessage() == "store_asked_again"
    assert record.fields["error"] == "s3://slipway/deep/a: the server has trouble (503 SlowDown: It is so.); try again"


def test_a_download_begins_anew_after_half_a_body(server, store, tmp_path):
    server.replies = [Reply(200, b"12345", cut=2), stored(b"678")]
    store.download("a", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"678"


def test_what_stays_damaged_is_asked_for_three_times(server, store):
    server.replies = [stored(b"1", digest="0" * 64)] * 3
    with pytest.raises(
        StoreUnavailable, match=r"deep/a: came with digest 6b86b273ff34, was stored with 000000000000; "
    ):
        store.read("a")


def test_parts_of_two_versions_are_never_put_together(server, store, tmp_path, monkeypatch):
    monkeypatch.setattr(s3_object, "LARGE_BYTES", 4)
    server.replies = [stored(b"12345"), Reply(206, b"12345", {"ETag": '"2"'})] * 3
    with pytest.raises(StoreUnavailable, match=r"deep/a: was replaced while it was read; try again"):
        store.download("a", tmp_path / "to")


def test_content_is_never_unpacked(server, store):
    packed = b"\x1f\x8b not gzip at all"
    server.replies = [Reply(200, packed, {"Content-Encoding": "gzip"})]
    assert store.read("a") == packed


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(error(403, "AccessDenied"), "a: no permission; allow these keys GetObject", id="s3s-own"),
        pytest.param(Reply(403, b"<p>No</p>", {"Content-Type": "text/html"}), "a: no permission.*<p>No", id="loose"),
        pytest.param(Reply(403), r"a: no permission.*\(403 without a code\)", id="empty"),
        pytest.param(error(400, "ExpiredToken"), "a: the credentials have expired; give new ones", id="expired"),
        pytest.param(
            error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            "a: the bucket's region is eu-west-1; set SLIPWAY_S3_REGION to it",
            id="region-in-the-answer",
        ),
        pytest.param(
            error(400, "AuthorizationHeaderMalformed"), "a: probably not the bucket's region.*It is so", id="region"
        ),
        pytest.param(
            error(301, "PermanentRedirect"),
            "a: probably not the bucket's region; set SLIPWAY_S3_REGION",
            id="elsewhere",
        ),
        pytest.param(
            error(403, "RequestTimeTooSkewed", Date="Tue, 01 Jan 2030 00:00:00 GMT"),
            r"a: the clock here says \w\w\w, .* GMT, the server's .*Tue, 01 Jan 2030 00:00:00 GMT; set them right",
            id="clock",
        ),
        pytest.param(error(400, "KeyTooLongError"), r"a: the server refuses \(400 KeyTooLong", id="anything-else"),
    ],
)
def test_a_refusal_says_what_to_do(server, store, reply, says):
    server.replies = [reply]
    with pytest.raises(StoreRefused, match=says):
        store.read("a")


def test_a_full_store_is_unavailable(server):
    store = MinioStore("s3://slipway", S3Settings(server.url, KEYS, "us-east-1"), patience_sec=0)
    server.replies = [error(507, "XMinioStorageFull")]
    with pytest.raises(StoreUnavailable, match=r"a: the store is full .*; free some room and try again"):
        store.write("a", b"1")


@pytest.mark.parametrize("reply", [error(404, "NoSuchKey"), Reply(404, b"gone", {"Content-Type": "text/plain"})])
def test_a_missing_key_is_missing_whichever_way_it_is_said(server, store, reply):
    server.replies = [reply]
    with pytest.raises(MissingKey, match="s3://slipway/deep/a: no such key"):
        store.read("a")


def test_nothing_to_write_into_is_a_missing_bucket(server, store):
    server.replies = [Reply(404, b"gone", {"Content-Type": "text/plain"})] * 2
    with pytest.raises(StoreRefused, match="s3://slipway: there is no such bucket; create it"):
        store.write("a", b"1")
    with pytest.raises(StoreRefused, match="s3://slipway: there is no such bucket; create it"):
        list(list_keys(store))


def test_what_is_no_s3_server_is_named(server):
    store = MinioStore("s3://slipway", S3Settings(server.url, KEYS, "us-east-1"), patience_sec=0)
    server.replies = [Reply(200, b"Welcome!")]
    with pytest.raises(StoreUnavailable, match=r"what answers does not speak S3; see that .* SLIPWAY_S3_ENDPOINT"):
        list(list_keys(store))


def test_a_write_says_what_it_carries(server, store):
    server.replies = [Reply()]
    store.write("a", b"1")
    [(method, path, headers)] = server.asked
    assert (method, path) == ("PUT", "/slipway/deep/a")
    assert headers["Content-MD5"] == "xMpCOKC5I4INzFCab3WEmw=="
    assert headers[DIGEST] == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def test_create_is_told_that_it_is_there(server, store):
    server.replies = [Reply(404), error(412, "PreconditionFailed")]
    assert store.create("a", b"1") is False
    assert server.asked[1][2]["If-None-Match"] == "*"


def test_create_whose_answer_was_lost_knows_its_own_content(server, store):
    server.replies = [Reply(404), error(500, "InternalError"), error(412, "PreconditionFailed"), stored(b"1")]
    assert store.create("a", b"1") is True


def test_create_on_a_server_without_conditions_just_writes(server, store):
    server.replies = [Reply(404), error(501, "NotImplemented"), Reply()]
    assert store.create("a", b"1") is True


def in_parts(*ends):
    begun = b"<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>"
    return [Reply(200, begun), Reply(200, b"", {"ETag": '"p"'}), *ends]


DONE = Reply(200, b'<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>')


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param([DONE], id="at-once"),
        pytest.param([Reply(200, error(500, "InternalError").body), DONE], id="an-error-after-status-200"),
        pytest.param([error(500, "InternalError"), error(404, "NoSuchUpload"), stored(b"12345")], id="answer-lost"),
    ],
)
def test_parts_are_put_together(server, store, monkeypatch, ends):
    monkeypatch.setattr(s3_object, "LARGE_BYTES", 4)
    server.replies = in_parts(*ends)
    store.write("a", b"12345")
    assert methods(server)[:3] == ["POST", "PUT", "POST"]


def test_folder_marks_are_no_keys(server, store):
    names = "".join(f"<Contents><Key>deep/{name}</Key></Contents>" for name in ("b/c", "a/", "a/b"))
    server.replies = [Reply(200, f"<ListBucketResult><Name>slipway</Name>{names}</ListBucketResult>".encode())]
    assert list(list_keys(store)) == ["a/b", "b/c"]


@pytest.fixture
def identity(server, tmp_path):
    (tmp_path / "token").write_text("a.secret.token\n")
    identity = WebIdentity(tmp_path / "token", "arn:aws:iam::1:role/slipway", server.url)
    return MinioStore("s3://slipway", S3Settings(server.url, identity, "us-east-1"), patience_sec=5)


EXCHANGED = Reply(
    200,
    b"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>lent</AccessKeyId>"
    b"<SecretAccessKey>s</SecretAccessKey><SessionToken>session</SessionToken>"
    b"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    b"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")  # the client's, from Python 3.12 on
def test_a_web_identity_is_exchanged_once_for_keys(server, identity):
    server.replies = [error(503, "SlowDown"), EXCHANGED, stored(b"1"), stored(b"2")]
    assert (identity.read("a"), identity.read("b")) == (b"1", b"2")
    assert methods(server) == ["POST", "POST", "GET", "GET"]
    asked = parse_qs(urlsplit(server.asked[1][1]).query)
    assert (asked["WebIdentityToken"], asked["RoleArn"]) == (["a.secret.token"], ["arn:aws:iam::1:role/slipway"])
    assert "Credential=lent/" in server.asked[2][2]["Authorization"]
    assert server.asked[2][2]["X-Amz-Security-Token"] == "session"


def test_a_refused_web_identity_is_not_told(server, identity, caplog):
    server.replies = [error(400, "InvalidIdentityToken")]
    with pytest.raises(StoreRefused, match=r"status 400 to the token in .*/token; see that AWS_ROLE_ARN") as refused:
        identity.read("a")
    chain = [refused.value, refused.value.__cause__, refused.value.__context__]
    assert "a.secret.token" not in f"{chain} {caplog.text}"


def test_empty_key_files_are_named(server, tmp_path):
    files = KeyFiles(tmp_path / "access", tmp_path / "secret")
    files.access_key.write_text("")
    files.secret_key.write_text("\n")
    with pytest.raises(SpecError, match=r"access or .*secret is empty; write the keys into them"):
        MinioStore("s3://slipway", S3Settings(server.url, files, "us-east-1")).read("a")


@pytest.mark.parametrize(
    ("endpoint", "style", "url"),
    [
        ("https://s3.amazonaws.com", "auto", "https://slipway.s3.eu-west-1.amazonaws.com/a?"),
        ("https://s3.amazonaws.com", "path", "https://s3.eu-west-1.amazonaws.com/slipway/a?"),
        ("http://store:9000", "auto", "http://store:9000/slipway/a?"),
        ("http://store:9000", "virtual", "http://slipway.store:9000/a?"),
    ],
)
def test_the_bucket_is_in_the_path_or_in_the_hosts_name(endpoint, style, url):
    client = connect(S3Settings(endpoint, KEYS, "eu-west-1", style))
    assert client.presigned_get_object("slipway", "a").startswith(url)


def test_a_region_that_cannot_be_one_is_named():
    with pytest.raises(SpecError, match="SLIPWAY_S3_REGION not a region: invalid region"):
        connect(S3Settings("http://store:9000", KEYS, "not a region"))


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://UPPER/a", "s3://ab/a"])
def test_a_bucket_that_cannot_be_one_is_refused(url):
    with pytest.raises(InputError, match=f"store '{url}': .*; expected s3://bucket or s3://bucket/prefix"):
        MinioStore(url, S3Settings("http://store:9000", KEYS))


def test_a_prefix_that_is_no_plain_path_is_refused():
    with pytest.raises(InputError, match=r"'a/../b' is not a relative path of plain names"):
        MinioStore("s3://slipway/a/../b", S3Settings("http://store:9000", KEYS))
