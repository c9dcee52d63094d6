"""Checks of a server against its OpenAPI description: every answer matches it, and none is a 5xx."""

import warnings
from typing import Any

with warnings.catch_warnings():  # Starlette's test client prefers httpx2, and works with httpx
    warnings.simplefilter("ignore")
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis import checks

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
]


def description(app: Any) -> Any:
    """Return the application's description, through which tests call it."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def operations(app: Any) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


def hold_to(operation: Any, token: str) -> None:
    """Send thirty requests, valid and invalid ones."""

    @given(case=operation.as_strategy())
    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def does_what_it_says(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    does_what_it_says()
