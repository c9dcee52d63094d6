import pytest

from slipway.errors import InputError
from tests.fakes.scripted_server import problem, scripted_server
from tests.unit.cli.conftest import TOKEN

from services.cli.remote.client import Api, Server
from services.cli.remote.downloads import ETAGS, Download, target_file
from services.cli.remote.errors import ApiRefused, ApiUnavailable


@pytest.fixture
def server():
    with scripted_server() as http_server:
        yield http_server


@pytest.fixture
def fetch_one(server, tmp_path):
    """Fetch `a.bin` from a server that answers as it is told; return what is there then."""

    def fetch():
        api = Api(Server(f"http://127.0.0.1:{server.server_port}", TOKEN), patience_sec=0.3)
        Download(api, "ponds", tmp_path / "out").fetch("a.bin", lambda _: None)
        return (tmp_path / "out" / "a.bin").read_bytes()

    (tmp_path / "out").mkdir()
    return fetch


def test_a_break_goes_on_where_it_was(fetch_one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (206, {"ETag": '"1"', "Content-Range": "bytes 3-5/6"}, b"def"),
    ]
    assert fetch_one() == b"abcdef"
    headers = server.requests[1][2]
    assert (headers["Range"], headers["If-Range"]) == ("bytes=3-", '"1"')


def test_an_earlier_fetch_that_broke_off_is_carried_on(fetch_one, server):
    server.answers = [(200, {"ETag": '"1"', "Content-Length": "6"}, b"abc")] + [problem(503)] * 50
    with pytest.raises(ApiUnavailable):
        fetch_one()
    server.answers = [(206, {"ETag": '"1"', "Content-Range": "bytes 3-5/6"}, b"def")]
    assert fetch_one() == b"abcdef"


def test_what_was_replaced_during_a_break_is_fetched_anew(fetch_one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (200, {"ETag": '"2"'}, b"new"),
    ]
    assert fetch_one() == b"new"


def test_a_rest_that_is_longer_than_the_artifact_is_thrown_away(fetch_one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        problem(416),
        (200, {"ETag": '"2"'}, b"a"),
    ]
    assert fetch_one() == b"a"


def test_a_wrong_size_is_never_taken_for_the_whole(fetch_one, server, tmp_path):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (206, {"ETag": '"1"', "Content-Range": "bytes 3-8/9"}, b"def"),
        (200, {"ETag": '"1"'}, b"abcdefghi"),
    ]
    assert fetch_one() == b"abcdefghi"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [ETAGS, "a.bin"]


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a/../../b", "a//b", "", ".", "a\\b", "a\nb", "a/", ETAGS, f".{ETAGS}.partial"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, path):
    with pytest.raises(ApiRefused, match="the server names an artifact"):
        target_file(tmp_path / "out", path)
    assert list(tmp_path.iterdir()) == []


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "export").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link leads out"):
        target_file(tmp_path / "out", "export/deep/a")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_in_the_place_of_an_artifact_is_replaced_not_followed(fetch_one, server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "out" / "a.bin").symlink_to(tmp_path / "mine")
    server.answers = [(200, {"ETag": '"1"'}, b"abc")]
    assert fetch_one() == b"abc"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(fetch_one, server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "out" / ".a.bin.partial").symlink_to(tmp_path / "mine")
    server.answers = [(200, {"ETag": '"1"'}, b"abc")]
    with pytest.raises(InputError):
        fetch_one()
    assert (tmp_path / "mine").read_bytes() == b"mine"
