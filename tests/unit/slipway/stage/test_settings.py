from pathlib import Path

import pytest

from slipway.errors import SpecError
from slipway.stage.settings import Settings
from slipway.store.s3.settings import KeyFiles, Keys, S3Settings, WebIdentity

NEEDED = {"SLIPWAY_STORE": "out", "SLIPWAY_RUN": "ponds-1"}


def test_the_defaults_are_a_pods(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert Settings.read(NEEDED) == Settings(
        store="out",
        run="ponds-1",
        attempt=1,
        index=0,
        scratch=Path("/tmp"),
        termination_log=Path("/dev/termination-log"),
        log_format="text",
        dies_with_parent=False,
    )


def test_every_variable_is_read():
    given = {
        "SLIPWAY_ATTEMPT": "3",
        "JOB_COMPLETION_INDEX": "4",
        "SLIPWAY_SCRATCH": "/scratch",
        "SLIPWAY_TERMINATION_LOG": "/reason",
        "SLIPWAY_LOG_FORMAT": "json",
        "SLIPWAY_DIES_WITH_PARENT": "1",
    }
    assert Settings.read(NEEDED | given) == Settings(
        "out", "ponds-1", 3, 4, Path("/scratch"), Path("/reason"), "json", True
    )


@pytest.mark.parametrize("missing", ["SLIPWAY_STORE", "SLIPWAY_RUN"])
def test_what_is_needed_is_named(missing):
    with pytest.raises(SpecError, match=f"{missing} is not set"):
        Settings.read({name: value for name, value in NEEDED.items() if name != missing})


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SLIPWAY_ATTEMPT", "two", "SLIPWAY_ATTEMPT is 'two', expected a whole number"),
        ("JOB_COMPLETION_INDEX", "-1", "JOB_COMPLETION_INDEX is '-1', expected a whole number"),
        ("SLIPWAY_LOG_FORMAT", "xml", "SLIPWAY_LOG_FORMAT is 'xml', expected text or json"),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(variable, value, says):
    with pytest.raises(SpecError, match=says):
        Settings.read(NEEDED | {variable: value})


GIVEN_KEYS = {"AWS_ACCESS_KEY_ID": "harbourmaster", "AWS_SECRET_ACCESS_KEY": "rope-and-anchor"}


@pytest.fixture
def mounted(tmp_path):
    """A file that is there to be read."""
    (tmp_path / "mounted").write_text("1")
    return tmp_path / "mounted"


def test_keys_alone_are_enough_for_amazons_s3():
    assert S3Settings.read(GIVEN_KEYS) == S3Settings(
        "https://s3.amazonaws.com", Keys("harbourmaster", "rope-and-anchor"), region=None, style="auto", ca_file=None
    )


def test_every_s3_variable_is_read(mounted):
    given = {
        "SLIPWAY_S3_ENDPOINT": "http://store:9000/",
        "SLIPWAY_S3_REGION": "harbour-1",
        "AWS_REGION": "another",
        "SLIPWAY_S3_STYLE": "path",
        "SLIPWAY_S3_CA_FILE": str(mounted),
        "AWS_SESSION_TOKEN": "session",
    }
    assert S3Settings.read(GIVEN_KEYS | given) == S3Settings(
        "http://store:9000", Keys("harbourmaster", "rope-and-anchor", "session"), "harbour-1", "path", mounted
    )


def test_files_with_keys_go_before_keys(mounted):
    files = {"SLIPWAY_S3_ACCESS_KEY_FILE": str(mounted), "SLIPWAY_S3_SECRET_KEY_FILE": str(mounted)}
    assert S3Settings.read(GIVEN_KEYS | files).credentials == KeyFiles(mounted, mounted)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({}, "https://sts.amazonaws.com"),
        ({"AWS_REGION": "eu-west-1"}, "https://sts.eu-west-1.amazonaws.com"),
        ({"SLIPWAY_S3_ENDPOINT": "http://store:9000"}, "http://store:9000"),
        ({"SLIPWAY_S3_STS_ENDPOINT": "https://sts:1"}, "https://sts:1"),
    ],
)
def test_a_token_is_exchanged_where_the_store_is(mounted, given, endpoint):
    token = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(mounted), "AWS_ROLE_ARN": "arn:role"}
    assert S3Settings.read(token | given).credentials == WebIdentity(mounted, "arn:role", endpoint)


@pytest.mark.parametrize("missing", GIVEN_KEYS)
def test_half_of_the_keys_is_refused_with_all_the_ways(missing):
    given = {name: value for name, value in GIVEN_KEYS.items() if name != missing}
    with pytest.raises(SpecError, match="needs both keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or SLIPWAY"):
        S3Settings.read(given)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SLIPWAY_S3_ENDPOINT", "store:9000", "SLIPWAY_S3_ENDPOINT is not the address of a server; expected http"),
        ("SLIPWAY_S3_ENDPOINT", "http://store:9000/bucket", "SLIPWAY_S3_ENDPOINT is not the address of a server"),
        ("SLIPWAY_S3_ENDPOINT", "http://me:hidden@store", "SLIPWAY_S3_ENDPOINT holds a user or a password"),
        ("SLIPWAY_S3_STYLE", "dns", "SLIPWAY_S3_STYLE is 'dns', expected path, virtual or auto"),
        ("SLIPWAY_S3_CA_FILE", "/none", "SLIPWAY_S3_CA_FILE: /none is not there, or cannot be read"),
    ],
)
def test_a_wrong_s3_value_is_named(variable, value, says):
    with pytest.raises(SpecError, match=says) as wrong:
        S3Settings.read(GIVEN_KEYS | {variable: value})
    assert "hidden" not in str(wrong.value)


def test_no_secret_is_shown():
    shown = repr(S3Settings.read(GIVEN_KEYS | {"AWS_SESSION_TOKEN": "session-token"}))
    assert "harbourmaster" in shown
    assert "rope-and-anchor" not in shown
    assert "session-token" not in shown
