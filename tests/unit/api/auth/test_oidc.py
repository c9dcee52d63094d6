"""Tokens of an identity provider that is a folder of files behind a local server."""

import asyncio
import json
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from slipway.http.tokens import Role, User

from services.api.auth.oidc import OidcTokens, highest_role
from services.api.settings import Oidc

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def provider(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        (tmp_path / ".well-known").mkdir()
        configuration = {"issuer": issuer, "jwks_uri": f"{issuer}/keys.json"}
        (tmp_path / ".well-known/openid-configuration").write_text(json.dumps(configuration))
        keys = [
            json.loads(RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "one", "use": "sig"},
            json.loads(ECAlgorithm.to_jwk(CURVE.public_key())) | {"kid": "two", "use": "sig"},
        ]
        (tmp_path / "keys.json").write_text(json.dumps({"keys": keys}))
        yield issuer
        server.shutdown()
        thread.join()


@pytest.fixture
def tokens(provider):
    return OidcTokens(Oidc(issuer=provider, audience="slipway", roles={"ml": Role.SUBMITTER, "ops": Role.ADMIN}))


@pytest.fixture
def claims(provider):
    return {"iss": provider, "aud": "slipway", "sub": "crane", "exp": int(time.time()) + 60, "groups": ["ml", "birds"]}


def sign(claims, key=KEY, algorithm="RS256", kid="one"):
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def user(tokens, secret):
    return asyncio.run(tokens.user(secret))


def test_a_token_of_the_provider_is_its_users(tokens, claims):
    assert user(tokens, sign(claims)) == User("crane", Role.SUBMITTER)
    assert user(tokens, sign(claims, CURVE, "ES256", "two")) == User("crane", Role.SUBMITTER)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "another"}, id="another-audience"),
        pytest.param({"iss": "https://elsewhere"}, id="another-issuer"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"nbf": 9999999999}, id="not-yet"),
        pytest.param({"exp": None}, id="endless"),
        pytest.param({"aud": None}, id="no-audience"),
        pytest.param({"sub": None}, id="nobodys"),
        pytest.param({"groups": ["birds"]}, id="no-role"),
        pytest.param({"groups": None}, id="no-claim"),
    ],
)
def test_a_token_that_is_not_for_us_or_not_good_any_more_is_nobodys(tokens, claims, changes):
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    assert user(tokens, sign(claims)) is None


def test_a_token_that_somebody_else_signed_is_nobodys(tokens, claims):
    assert user(tokens, sign(claims, OTHER)) is None
    assert user(tokens, sign(claims, OTHER, kid="three")) is None


def test_a_token_chooses_no_algorithm(tokens, claims):
    unsigned_token = jwt.encode(claims, None, "none", headers={"kid": "one"})
    by_length = jwt.encode(claims, "k" * 64, "HS256", headers={"kid": "one"})
    other_hash = sign(claims, algorithm="RS512")
    assert [user(tokens, secret) for secret in (unsigned_token, by_length, other_hash)] == [None, None, None]


@pytest.mark.parametrize("secret", ["", "a.b.c", "a.b", "....", "é.é.é"])
def test_what_is_no_token_is_nobodys(tokens, secret):
    assert user(tokens, secret) is None


def test_a_provider_that_is_away_or_speaks_for_another_lets_nobody_in(tmp_path, tokens, claims):
    configuration = tmp_path / ".well-known/openid-configuration"
    configuration.write_text(configuration.read_text().replace("127.0.0.1", "localhost", 1))
    assert user(tokens, sign(claims)) is None
    configuration.unlink()
    assert user(tokens, sign(claims)) is None


def test_the_highest_of_several_roles_counts():
    roles = {"ml": Role.SUBMITTER, "ops": Role.ADMIN, "all": Role.VIEWER}
    assert highest_role(roles, ["all", "ops", "ml"]) is Role.ADMIN
    assert highest_role(roles, "ml") is Role.SUBMITTER
    assert highest_role(roles, [{"ml": 1}, 7]) is None
