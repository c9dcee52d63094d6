import json

import pytest

from slipway import keys
from slipway.errors import InputError
from tests.fakes.scripted_server import problem, scripted_server
from tests.unit.cli.conftest import TOKEN, slipway

from services.cli.remote.client import Api, Server
from services.cli.remote.downloads import ETAGS, Download, target_file
from services.cli.remote.errors import ApiRefused, ApiUnavailable

MADE = {"report.html": b"<html>", "export/model.tflite": b"T" * 3000, "export/saved_model/saved_model.pb": b"pb"}


@pytest.fixture
def ponds(logged_in, store, cluster):
    """A run that has made something."""
    cluster.create({"metadata": {"name": "ponds"}, "spec": {"dataset": {"source": "s3://photos/ponds"}}})
    for path, content in MADE.items():
        store.write(f"{keys.run_folder('ponds')}/{path}", content)
    return "ponds"


@pytest.fixture
def server():
    with scripted_server() as made:
        yield made


@pytest.fixture
def one(server, tmp_path):
    """Fetch `a.bin` from a server that answers as it is told; return what is there then."""

    def fetched():
        api = Api(Server(f"http://127.0.0.1:{server.server_port}", TOKEN), patience_sec=0.3)
        Download(api, "ponds", tmp_path / "out").fetch("a.bin", lambda _: None)
        return (tmp_path / "out" / "a.bin").read_bytes()

    (tmp_path / "out").mkdir()
    return fetched


def files(folder):
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: content for path, content in found.items() if path != ETAGS}


def test_artifacts_are_listed_with_their_sizes(ponds, capsys):
    assert slipway("artifacts", "ponds") == 0
    assert capsys.readouterr().out.splitlines() == [
        "    3.0 kB  export/model.tflite",
        "       2 B  export/saved_model/saved_model.pb",
        "       6 B  report.html",
    ]


def test_artifacts_are_listed_for_machines(ponds, capsys):
    assert slipway("artifacts", "ponds", "report.html", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"items": [{"path": "report.html", "bytes": 6}]}


def test_all_artifacts_are_fetched(ponds, tmp_path, capsys):
    assert slipway("artifacts", "ponds", "--out", tmp_path / "here") == 0
    assert files(tmp_path / "here") == MADE
    assert capsys.readouterr().out.splitlines()[-1] == f"3 artifacts, 3.0 kB, are in {tmp_path}/here"


def test_a_folder_of_artifacts_is_fetched(ponds, tmp_path):
    assert slipway("artifacts", "ponds", "export/", "--out", tmp_path / "here") == 0
    assert sorted(files(tmp_path / "here")) == ["export/model.tflite", "export/saved_model/saved_model.pb"]


def test_an_artifact_that_is_not_there_is_told(ponds, tmp_path, capsys):
    assert slipway("artifacts", "ponds", "lunch", "--out", tmp_path / "here") == 65
    assert "run ponds has no artifact lunch" in capsys.readouterr().err


def test_what_changed_meanwhile_is_fetched_again_and_the_rest_is_kept(ponds, tmp_path, store):
    here = tmp_path / "here"
    assert slipway("artifacts", "ponds", "--out", here) == 0
    before = (here / "export/model.tflite").stat().st_ino
    store.write(f"{keys.run_folder('ponds')}/report.html", b"newer!")
    assert slipway("artifacts", "ponds", "--out", here) == 0
    assert files(here) == MADE | {"report.html": b"newer!"}
    assert (here / "export/model.tflite").stat().st_ino == before


def test_a_break_goes_on_where_it_was(one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (206, {"ETag": '"1"', "Content-Range": "bytes 3-5/6"}, b"def"),
    ]
    assert one() == b"abcdef"
    headers = server.asked[1][2]
    assert (headers["Range"], headers["If-Range"]) == ("bytes=3-", '"1"')


def test_an_earlier_fetch_that_broke_off_is_carried_on(one, server):
    server.answers = [(200, {"ETag": '"1"', "Content-Length": "6"}, b"abc")] + [problem(503)] * 50
    with pytest.raises(ApiUnavailable):
        one()
    server.answers = [(206, {"ETag": '"1"', "Content-Range": "bytes 3-5/6"}, b"def")]
    assert one() == b"abcdef"


def test_what_was_replaced_during_a_break_is_fetched_anew(one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (200, {"ETag": '"2"'}, b"new"),
    ]
    assert one() == b"new"


def test_a_rest_that_is_longer_than_the_artifact_is_thrown_away(one, server):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        problem(416),
        (200, {"ETag": '"2"'}, b"a"),
    ]
    assert one() == b"a"


def test_a_wrong_size_is_never_taken_for_the_whole(one, server, tmp_path):
    server.answers = [
        (200, {"ETag": '"1"', "Content-Length": "6"}, b"abc"),
        (206, {"ETag": '"1"', "Content-Range": "bytes 3-8/9"}, b"def"),
        (200, {"ETag": '"1"'}, b"abcdefghi"),
    ]
    assert one() == b"abcdefghi"
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


def test_a_link_in_the_place_of_an_artifact_is_replaced_not_followed(one, server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "out" / "a.bin").symlink_to(tmp_path / "mine")
    server.answers = [(200, {"ETag": '"1"'}, b"abc")]
    assert one() == b"abc"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_link_in_the_place_of_a_partial_file_is_not_followed(one, server, tmp_path):
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "out" / ".a.bin.partial").symlink_to(tmp_path / "mine")
    server.answers = [(200, {"ETag": '"1"'}, b"abc")]
    with pytest.raises(InputError):
        one()
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_file_for_a_folder_is_refused(ponds, tmp_path, capsys):
    (tmp_path / "here").touch()
    assert slipway("artifacts", "ponds", "--out", tmp_path / "here") == 65
    assert "is a file; give a folder" in capsys.readouterr().err
