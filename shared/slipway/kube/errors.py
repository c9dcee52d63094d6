"""Translation of the Kubernetes client's exceptions."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slipway.errors import ClusterRefused, ClusterUnavailable, Conflict

_REFUSALS = (400, 403, 404, 422)


@contextmanager
def as_api_errors(request: str, absent_is_fine: bool = False) -> Iterator[None]:
    """Turn the exceptions of the Kubernetes client into Slipway's.

    Args:
      request: The verb, the kind and the name, for the message.
      absent_is_fine: Return from the block where the object does not exist.

    Raises:
      Conflict: The object has been changed, or its name is taken.
      ClusterRefused: The request is not allowed, or is not valid.
      ClusterUnavailable: There is no answer, or the API server has a fault.
    """
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if error.status == 404 and absent_is_fine:
            return
        message = f"{request}: {error.status} {_reason(error)}"
        if error.status == 409:
            raise Conflict(message) from error
        if error.status in _REFUSALS:
            raise ClusterRefused(message, error.status) from error
        raise ClusterUnavailable(f"{message}; try again") from error
    except HTTPError as error:
        cause = type(getattr(error, "reason", None) or error).__name__  # its text has addresses that are not public
        raise ClusterUnavailable(f"{request}: the API server does not answer ({cause}); try again") from error


def _reason(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
