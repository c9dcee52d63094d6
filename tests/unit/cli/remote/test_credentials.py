import io
import json
import stat
from pathlib import Path

import certifi
import pytest

from slipway.errors import InputError, SpecError
from tests.unit.cli.conftest import TOKEN, slipway

from services.cli.remote import credentials


@pytest.fixture
def stdin(monkeypatch):
    def say(text):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return say


def log_in(url, stdin, *options):
    stdin(f"{TOKEN}\n")
    return slipway("login", url, "--token-stdin", *options)


def login_file(home):
    return home / ".config" / "slipway" / "api.json"


def test_a_token_that_works_is_kept_where_only_its_owner_reads_it_and_never_shown(url, home, stdin, capsys):
    assert log_in(f"{url}/", stdin) == 0
    output = capsys.readouterr()
    assert output.out == f"logged in to {url}\n"
    assert TOKEN not in output.out + output.err
    file = login_file(home)
    assert json.loads(file.read_text()) == {"url": url, "token": TOKEN, "insecureHttp": False}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in file.parent.iterdir()] == ["api.json"]
    assert slipway("status") == 0


def test_a_token_that_is_not_taken_is_not_kept(url, home, stdin, capsys):
    stdin("wrong-token\n")
    assert slipway("login", url, "--token-stdin") == 65
    output = capsys.readouterr().err
    assert "the token is not known here" in output
    assert "wrong-token" not in output
    assert not login_file(home).exists()


def test_without_a_terminal_the_token_has_to_be_given(url, stdin, capsys):
    stdin("")
    assert slipway("login", url) == 65
    assert "give it with --token-stdin" in capsys.readouterr().err


def test_at_a_terminal_the_token_is_asked_for_hidden(url, home, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: f" {TOKEN}\n")
    assert slipway("login", url) == 0
    assert json.loads(login_file(home).read_text())["token"] == TOKEN


def test_an_unencrypted_address_is_refused_before_the_token_is_asked_for(stdin, capsys):
    stdin("")
    assert slipway("login", "http://slipway.example", "--token-stdin") == 65
    assert "not encrypted" in capsys.readouterr().err


def test_a_ca_file_without_certificates_is_told(stdin, tmp_path, capsys):
    (tmp_path / "empty.pem").touch()
    for name in ("none.pem", "empty.pem"):
        assert log_in("https://slipway.example", stdin, "--ca-file", tmp_path / name) == 65
        assert f"{name}: no certificates can be read from it" in capsys.readouterr().err


def test_who_is_not_logged_in_is_told_how(capsys):
    assert slipway("status") == 65
    assert "log in with `slipway login URL`" in capsys.readouterr().err


def test_the_environment_wins_over_the_login(home, url, stdin):
    log_in(url, stdin)
    server = credentials._server(
        {"SLIPWAY_API_URL": "https://b.example/", "SLIPWAY_API_TOKEN": "other"}, login_file(home)
    )
    assert (server.url, server.token) == ("https://b.example", "other")


def test_a_kept_token_is_not_sent_to_another_address(home, url, stdin):
    log_in(url, stdin)
    with pytest.raises(SpecError, match="there is no token for it"):
        credentials._server({"SLIPWAY_API_URL": "https://b.example"}, login_file(home))
    assert credentials._server({"SLIPWAY_API_URL": f"{url}/"}, login_file(home)).token == TOKEN


def test_http_and_certificates_come_from_the_environment(tmp_path):
    environment = {"SLIPWAY_API_URL": "http://b.example", "SLIPWAY_API_TOKEN": "t"}
    with pytest.raises(SpecError, match="not encrypted"):
        credentials._server(environment, tmp_path / "none")
    variables = {"SLIPWAY_API_INSECURE_HTTP": "1", "SLIPWAY_API_CA_FILE": certifi.where()}
    server = credentials._server(environment | variables, tmp_path / "none")
    assert (server.insecure_http, server.ca_file) == (True, Path(certifi.where()))


def test_a_login_that_others_can_read_is_refused(home, url, stdin):
    log_in(url, stdin)
    login_file(home).chmod(0o644)
    with pytest.raises(InputError, match="others can read the token; run `chmod 600"):
        credentials._server({}, login_file(home))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": "https://b.example"}'])
def test_a_damaged_login_says_what_to_do(tmp_path, content):
    file = tmp_path / "api.json"
    file.touch(mode=0o600)
    file.write_text(content)
    with pytest.raises(InputError, match="not as `slipway login` wrote it; log in"):
        credentials._server({}, file)


def test_a_config_folder_that_cannot_be_written_is_told(url, home, stdin, capsys):
    home.mkdir()
    (home / ".config").touch()
    assert log_in(url, stdin) != 0
    assert str(home / ".config") in capsys.readouterr().err
