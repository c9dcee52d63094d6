"""The Secrets of a new installation: created once, and readable only with permission to read Secrets."""

import hashlib
import secrets

import yaml

from slipway.kube.objects import KubernetesObject


def store_keys(name: str, endpoint: str) -> KubernetesObject:
    """Return a Secret with new keys of a bundled S3 server, its address and its region."""
    return _secret(
        name,
        {
            "SLIPWAY_S3_ENDPOINT": endpoint,
            "SLIPWAY_S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": secrets.token_hex(10),
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        },
    )


def first_token(name: str) -> KubernetesObject:
    """Return a Secret with a new token of the role admin, for its owner, and with the list of digests, for the API.

    Both are in one Secret, so that they always belong together: two could be of different tokens.
    """
    token = secrets.token_urlsafe(32)
    digests = [{"name": "admin", "role": "admin", "sha256": hashlib.sha256(token.encode()).hexdigest()}]
    return _secret(name, {"admin-token": token, "tokens.yaml": yaml.safe_dump(digests, sort_keys=False)})


def _secret(name: str, content: dict[str, str]) -> KubernetesObject:
    labels = {"app.kubernetes.io/name": "slipway"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "stringData": content,
    }
