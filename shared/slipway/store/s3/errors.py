"""Errors of an S3 server and of its client as errors of the store."""

import re
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import SSLError

from slipway.errors import MissingBucket, MissingKey, SlipwayError, StoreFull, StoreRefused, StoreUnavailable

_MEANINGS = {301: "PermanentRedirect", 401: "AccessDenied", 403: "AccessDenied", 404: "NoSuchKey"}
_PASSING = {
    "ConditionalRequestConflict",
    "InternalError",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
}
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the files that hold them"
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; create it, or correct the store's address",
    "AccessDenied": "no permission; allow these keys GetObject, PutObject, DeleteObject and "
    "AbortMultipartUpload below the prefix, and ListBucket and GetBucketLocation on the bucket",
    "ExpiredToken": "the credentials have expired; give new ones",
    **dict.fromkeys(
        ("InvalidAccessKeyId", "XAdminUserNotFound"),  # the second is versitygw's
        f"the server does not know the access key; correct {_KEYS}",
    ),
    "SignatureDoesNotMatch": f"the secret key does not fit the access key; correct {_KEYS}",
    **dict.fromkeys(
        ("AuthorizationHeaderMalformed", "BadRequest", "PermanentRedirect", "Redirect", "TemporaryRedirect"),
        "probably not the bucket's region; set SLIPWAY_S3_REGION",
    ),
}


class Answer(NamedTuple):
    """A server's refusal.

    Attributes:
      body: The unparsed answer, since the errors of some servers differ from S3's.
    """

    status: int
    code: str
    message: str
    date: str = ""
    body: str = ""


def as_store_error(error: Exception, url: str) -> SlipwayError:
    """Return the error of the store that an exception of the client means for the object at `url`."""
    match error:
        case SlipwayError():
            return error
        case SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StoreRefused(
                f"{url}: the server's certificate is not trusted: {_reason(error)}; "
                "name the file of its certificate authority with SLIPWAY_S3_CA_FILE"
            )
        case MinioException():
            return _refusal(answer(error), url)
        case ParseError():
            reason = "what answers does not speak S3"
        case _:
            reason = f"no answer: {_reason(error)}"
    return StoreUnavailable(f"{url}: {reason}; see that the server runs and that SLIPWAY_S3_ENDPOINT is its address")


def answer(error: MinioException) -> Answer:
    """Read the server's answer from whichever exception the client makes of it."""
    match error:
        case S3Error():
            body = (error.response.data or b"").decode(errors="replace")
            date = error.response.headers.get("date", "")
            return Answer(error.response.status, error.code or "", error.message or "", date, body)
        case ServerError():
            return Answer(error.status_code, "", str(error))
        case InvalidResponseError():  # not XML, or not declared as such; its parts have no public names
            body = error._body or ""
            return Answer(error._code, _tag("Code", body), _tag("Message", body) or body[:200].strip(), body=body)
    return Answer(0, "", str(error))


def _refusal(refusal: Answer, url: str) -> SlipwayError:
    summary = f"{refusal.status} {refusal.code or 'without a code'}: {refusal.message}".rstrip(": ")
    code = refusal.code or _MEANINGS.get(refusal.status, "")
    if code == "NoSuchKey":
        return MissingKey(f"{url}: no such key")
    if refusal.status == 507:
        return StoreFull(f"{url}: the store is full ({summary}); free some room and try again")
    if code in _PASSING or refusal.status == 429 or (refusal.status >= 500 and refusal.status != 501):
        return StoreUnavailable(f"{url}: the server has trouble ({summary}); try again")
    if code == "RequestTimeTooSkewed":
        clock = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return StoreRefused(
            f"{url}: the clock here says {clock}, the server's {refusal.date or 'another'}; set them right"
        )
    region = _tag("Region", refusal.body)
    advice = f"the bucket's region is {region}; set SLIPWAY_S3_REGION to it" if region else _ADVICE.get(code)
    kind = MissingBucket if code == "NoSuchBucket" else StoreRefused
    return kind(f"{url}: {advice or 'the server refuses'} ({summary})")


def _tag(name: str, xml: str) -> str:
    match = re.search(rf"<{name}>(.*?)</{name}>", xml, re.DOTALL)
    return match[1].strip() if match else ""


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error)  # the second argument repeats it as an object
