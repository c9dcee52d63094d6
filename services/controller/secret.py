"""Keys for a bundled S3 server: made once, and never seen by anyone."""

import secrets

from services.controller.jobs import Manifest


def secret(name: str, endpoint: str) -> Manifest:
    """Return a Secret with new keys, and what else a stage needs to find the server."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "slipway"}},
        "stringData": {
            "SLIPWAY_S3_ENDPOINT": endpoint,
            "SLIPWAY_S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": secrets.token_hex(10),
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        },
    }
