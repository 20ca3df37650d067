"""The error replies of the service, in its words and its shape."""

from __future__ import annotations

import re

from rxassist.errors import excerpt
from rxassist.wire.json import to_json

_AN = {"string": "a string", "array": "an array", "object": "an object"}

_TOO_MANY, _SERVER_ERROR = 429, 500


class Problem(Exception):  # noqa: N818 -- the client's mistake, not the service's error
    """The service refuses a request; the reply has this status and error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",  # noqa: A002 -- the field's name
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.type = type

    @property
    def body(self) -> bytes:
        """The error body."""
        names = ("message", "type", "param", "code")
        return to_json({"error": {name: getattr(self, name) for name in names}})


def not_found(kind: type, item_id: str) -> Problem:
    """There is no object of this kind and id."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    return Problem(f"No {name} found with id '{item_id}'.", status=404)


def missing(*, param: str) -> Problem:
    """A required parameter is missing."""
    message = f"Missing required parameter: '{param}'."
    return Problem(message, param=param, code="missing_required_parameter")


def invalid_type(got: object, param: str, expected: str) -> Problem:
    """A parameter has the wrong type."""
    message = f"Invalid type for '{param}': expected {expected}, but got {excerpt(got)} instead."
    return Problem(message, param=param, code="invalid_type")


def invalid_value(got: object, param: str, *supported: str) -> Problem:
    """A parameter has an unknown value."""
    values = " and ".join(f"'{value}'" for value in supported)
    message = f"Invalid value: '{got}'. Supported values are: {values}."
    return Problem(message, param=param, code="invalid_value")


def out_of_range(got: float, param: str, where: str, bound: str, kind: str = "integer") -> Problem:
    """A number is too small or too large."""
    expected = f"Expected a value {bound}, but got {got} instead."
    message = f"Invalid '{param}': {kind} {where} value. {expected}"
    code = "below_min_value" if where.startswith("below") else "above_max_value"
    return Problem(message, param=param, code=f"{kind}_{code}")


def too_long(param: str, kind: str, most: int, got: int) -> Problem:
    """A string or an array is too long, or an object has too many properties."""
    if kind == "object":
        wrong, measure, code = "too many properties", "at most {} properties", "max_properties"
    else:
        wrong, measure, code = f"{kind} too long", "maximum length {}", "max_length"
    message = (
        f"Invalid '{param}': {wrong}. Expected {_AN[kind]} with {measure.format(most)},"
        f" but got {got} instead."
    )
    return Problem(message, param=param, code=f"{kind}_above_{code}")


def no_match(got: str, param: str, pattern: str) -> Problem:
    """A text has characters that are not allowed."""
    message = (
        f"Invalid '{param}': string does not match pattern. Expected a string that matches the"
        f" pattern '{pattern}', but got {excerpt(got)} instead."
    )
    return Problem(message, param=param, code="invalid_value")


def no_json() -> Problem:
    """The body is not JSON, or not an object."""
    return Problem(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't"
        " using your HTTP library correctly. The API expects a JSON object.)"
    )


def wrong_key(key: str) -> Problem:
    """The request has no API key, or a wrong one; the reply does not repeat it."""
    if key:
        message = "Incorrect API key provided. This local service was started with another one."
        return Problem(message, status=401, code="invalid_api_key")
    message = (
        "You didn't provide an API key. You need to provide your API key in an Authorization"
        " header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    )
    return Problem(message, status=401)


def unwelcome(header: str, got: str, parameter: str) -> Problem:
    """A page in a browser made the request, and its origin is not allowed."""
    message = (
        f"Requests with {header} {excerpt(got)} are not allowed by the local service."
        f" If they are yours, name that in {parameter}."
    )
    return Problem(message, status=403, code=f"{header.lower().replace('-', '_')}_not_allowed")


def too_large(most: int) -> Problem:
    """The body of a request has more bytes than the service accepts."""
    message = f"Maximum content size limit ({most}) exceeded."
    return Problem(message, status=413, code="content_too_large")


def unknown_url(method: str, path: str) -> Problem:
    """There is no endpoint at this address."""
    return Problem(f"Invalid URL ({method} {path})", status=404)


def not_allowed(method: str, path: str) -> Problem:
    """The endpoint does not have this method."""
    message = f"Not allowed to {method} on {path} (HINT: perhaps you meant another method)"
    return Problem(message, status=405, code="method_not_supported")


def refused(status: int) -> Problem:
    """The service refuses a request before it reads it."""
    if status == _TOO_MANY:
        message = "Rate limit reached for requests. Please try again later."
        return Problem(message, status=status, code="rate_limit_exceeded", type="requests")
    if status >= _SERVER_ERROR:
        message = (
            "The server had an error processing your request. Sorry about that! You can retry your"
            " request. (The local service was told to refuse it.)"
        )
        return Problem(message, status=status, type="server_error")
    return Problem("The local service was told to refuse this request.", status=status)


def broken(error: Exception) -> Problem:
    """The service itself has a bug; it is local, so it can name it."""
    message = f"The local service had an error: {type(error).__name__}: {error}"
    return Problem(message, status=500, type="server_error")


__all__ = [
    "Problem",
    "broken",
    "invalid_type",
    "invalid_value",
    "missing",
    "no_json",
    "no_match",
    "not_allowed",
    "not_found",
    "out_of_range",
    "refused",
    "too_large",
    "too_long",
    "unknown_url",
    "unwelcome",
    "wrong_key",
]
