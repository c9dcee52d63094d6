"""An S3 server's refusals, as the client tells them, in our words."""

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
    """A server's no.

    Attributes:
      body: The answer as it came: some servers' errors are not what S3's are.
    """

    status: int
    code: str
    message: str
    date: str = ""
    body: str = ""


def translated(error: Exception, where: str) -> SlipwayError:
    """Say in our words what a client's exception means for the address `where`."""
    match error:
        case SlipwayError():
            return error
        case SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StoreRefused(
                f"{where}: the server's certificate is not trusted: {_reason(error)}; "
                "name the file of its certificate authority with SLIPWAY_S3_CA_FILE"
            )
        case MinioException():
            return _refusal(answer(error), where)
        case ParseError():
            reason = "what answers does not speak S3"
        case _:
            reason = f"no answer: {_reason(error)}"
    return StoreUnavailable(f"{where}: {reason}; see that the server runs and that SLIPWAY_S3_ENDPOINT is its address")


def answer(error: MinioException) -> Answer:
    """Read the server's answer from whichever exception the client makes of it."""
    match error:
        case S3Error():
            body = (error.response.data or b"").decode(errors="replace")
            date = error.response.headers.get("date", "")
            return Answer(error.response.status, error.code or "", error.message or "", date, body)
        case ServerError():
            return Answer(error.status_code, "", str(error))
        case InvalidResponseError():  # not XML, or not called so; its parts have no public names
            body = error._body or ""
            return Answer(error._code, _tag("Code", body), _tag("Message", body) or body[:200].strip(), body=body)
    return Answer(0, "", str(error))


def _refusal(no: Answer, where: str) -> SlipwayError:
    said = f"{no.status} {no.code or 'without a code'}: {no.message}".rstrip(": ")
    code = no.code or _MEANINGS.get(no.status, "")
    if code == "NoSuchKey":
        return MissingKey(f"{where}: no such key")
    if no.status == 507:
        return StoreFull(f"{where}: the store is full ({said}); free some room and try again")
    if code in _PASSING or no.status == 429 or (no.status >= 500 and no.status != 501):
        return StoreUnavailable(f"{where}: the server has trouble ({said}); try again")
    if code == "RequestTimeTooSkewed":
        here = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return StoreRefused(f"{where}: the clock here says {here}, the server's {no.date or 'another'}; set them right")
    right = _tag("Region", no.body)
    advice = f"the bucket's region is {right}; set SLIPWAY_S3_REGION to it" if right else _ADVICE.get(code)
    refusal = MissingBucket if code == "NoSuchBucket" else StoreRefused
    return refusal(f"{where}: {advice or 'the server refuses'} ({said})")


def _tag(name: str, xml: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", xml, re.DOTALL)
    return found[1].strip() if found else ""


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error)  # what follows is the same once more, as an object
