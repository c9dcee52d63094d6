"""The S3 client: connection, credentials and retries."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider, StaticProvider, WebIdentityProvider
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from slipway.errors import Damaged, SpecError, StoreRefused, StoreUnavailable, TransientError
from slipway.events import event
from slipway.retry import Patience
from slipway.store.measured import count_error
from slipway.store.s3.errors import as_store_error
from slipway.store.s3.settings import KeyFiles, Keys, S3Settings, WebIdentity

_CONNECT_SEC, _READ_SEC = 5.0, 30.0
_TRIES = 3  # of content that arrives damaged
_CONNECTIONS = 32  # eight transfers at once, each in four parts

T = TypeVar("T")


def connect(settings: S3Settings) -> Minio:
    """Make the client, without a request yet; the client itself never retries.

    Raises:
      SpecError: The address or the region is malformed.
    """
    pool = urllib3.PoolManager(
        maxsize=_CONNECTIONS,
        retries=False,
        timeout=urllib3.Timeout(connect=_CONNECT_SEC, read=_READ_SEC),
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file or certifi.where()),
    )
    url = urlsplit(settings.endpoint)
    provider = _provider(settings.credentials, pool)
    try:
        client = Minio(
            url.netloc, secure=url.scheme == "https", region=settings.region, http_client=pool, credentials=provider
        )
    except ValueError as error:
        raise SpecError(
            f"SLIPWAY_S3_ENDPOINT {settings.endpoint}, SLIPWAY_S3_REGION {settings.region}: {error}"
        ) from error
    if settings.style == "virtual":
        client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    elif settings.style == "path":
        client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    return client


def with_store_retries(call: Callable[[], T], url: str, patience_sec: float) -> T:
    """Call until the server answers; while it is away or busy, pauses grow.

    Damaged content is asked for three times only, since damage in transfer is rare.

    Args:
      url: The address of the object, for messages.

    Raises:
      MissingKey: The server says that the key does not exist.
      StoreRefused: The server refuses.
      StoreUnavailable: There was no answer for `patience_sec`.
    """
    patience = Patience(patience_sec, partial(_log_retry, patience_sec)).start()
    damage_count = 0
    while True:
        try:
            return call()
        except (HTTPError, MinioException, ParseError, StoreUnavailable) as error:
            failure = as_store_error(error, url)
            damage_count += isinstance(error, Damaged)
            if failure is error and damage_count == _TRIES:
                raise
            if not isinstance(failure, StoreUnavailable) or damage_count == _TRIES:
                raise failure from error
            patience.wait(failure)
            count_error(failure)


def _log_retry(patience_sec: float, failure: TransientError) -> None:
    event("store_asked_again", logging.WARNING, patience_sec=patience_sec, error=str(failure))


class _FileProvider(Provider):
    def __init__(self, files: KeyFiles) -> None:
        self._files = files

    def retrieve(self) -> Credentials:
        access_key, secret_key = self._files.access_key.read_text().strip(), self._files.secret_key.read_text().strip()
        if not (access_key and secret_key):
            raise SpecError(f"{self._files.access_key} or {self._files.secret_key} is empty; write the keys into them")
        return Credentials(access_key, secret_key)


class _WebIdentityProvider(Provider):
    """Exchanges a token for credentials. The client's own error message holds the token and is not passed on."""

    def __init__(self, identity: WebIdentity, pool: urllib3.PoolManager) -> None:
        self._identity = identity
        self._exchange = WebIdentityProvider(
            jwt_provider_func=lambda: {"access_token": identity.token.read_text().strip()},
            sts_endpoint=identity.endpoint,
            role_arn=identity.role,
            http_client=pool,
        )

    def retrieve(self) -> Credentials:
        try:
            return self._exchange.retrieve()
        except ValueError as error:
            status = int(str(error).rpartition(" ")[2])
        endpoint, token = self._identity.endpoint, self._identity.token
        if status == 429 or status >= 500:
            raise StoreUnavailable(f"{endpoint}: status {status} to the token in {token}; try again")
        raise StoreRefused(
            f"{endpoint}: status {status} to the token in {token}; see that AWS_ROLE_ARN is right and that the server "
            "trusts the cluster that made the token"
        )


def _provider(credentials: Keys | KeyFiles | WebIdentity, pool: urllib3.PoolManager) -> Provider:
    match credentials:
        case Keys():
            return StaticProvider(credentials.access_key, credentials.secret_key, credentials.session_token)
        case KeyFiles():
            return _FileProvider(credentials)
        case WebIdentity():
            return _WebIdentityProvider(credentials, pool)
