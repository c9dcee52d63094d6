"""Tests of the API's settings, and of the messages on wrong ones."""

import pytest

from slipway.errors import SpecError
from slipway.settings_file import read_settings_file

from services.api.settings import ApiSettings


def test_an_empty_file_is_all_defaults(tmp_path):
    file = tmp_path / "api.yaml"
    file.write_text("")
    settings = read_settings_file(file, ApiSettings)
    assert settings.limits.body_bytes == 1 << 20
    assert settings.page_size == 50
    assert settings.oidc is None


def test_a_file_is_read_in_camel_case(tmp_path):
    file = tmp_path / "api.yaml"
    file.write_text(
        "{limits: {requestsPerSecond: 5}, oidc: {issuer: 'https://id', audience: slipway, roles: {ml: submitter}}}"
    )
    settings = read_settings_file(file, ApiSettings)
    assert settings.limits.requests_per_second == 5
    assert settings.oidc is not None
    assert settings.oidc.roles == {"ml": "submitter"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{limits: {burst: 0}}", "limits.burst: Input should be greater than or equal to 1 .got 0"),
        ("{pageSize: 501}", "pageSize: Input should be less than or equal to 500"),
        ("{oidc: {issuer: 'ftp://id', audience: a, roles: {}}}", "oidc.issuer: String should match"),
        ("{tokenFile: x}", "tokenFile: Extra inputs are not permitted"),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, text, wrong):
    file = tmp_path / "api.yaml"
    file.write_text(text)
    with pytest.raises(SpecError, match=wrong):
        read_settings_file(file, ApiSettings)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="mount the settings there"):
        read_settings_file(tmp_path / "api.yaml", ApiSettings)
