"""Everything that rxassist raises or sends to ``on_error``.

No message and no ``repr`` here ever holds a credential: errors are built from what the
service answered, never from what was sent to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rxassist.models import Run, VectorStoreFile
    from rxassist.snapshots import Snapshot

_EXCERPT = 120


def excerpt(value: object) -> str:
    """The ``repr`` of a value, cut to a length that fits a line of a log."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"<{type(value).__name__} that is nested too deep to show>"
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}… ({len(text)} characters)"


class RxAssistError(Exception):
    """The base of every error of this library.

    ``snapshot`` is the run so far, where the error ended a stream.
    """

    snapshot: Snapshot | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors can be pickled and copied, whatever their constructors take."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(
    kind: type[RxAssistError], args: tuple[Any, ...], state: dict[str, Any]
) -> RxAssistError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIError(RxAssistError):
    """The service said that something went wrong, or could not be reached.

    ``code``, ``type`` and ``param`` are the fields of the service's error object, ``None`` where
    it named none. ``snapshot`` is the run so far, where the error arrived inside a stream.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 -- the service's own name for it
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.type = type
        self.param = param


class APIConnectionError(APIError):
    """The service could not be reached, or the connection broke.

    ``sent`` says whether the request may have reached the service.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """The service did not answer in time."""


class APIStatusError(APIError):
    """The service answered with an HTTP status of 400 or above.

    ``retry_after`` is the number of seconds the service asked to wait, where it did.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 -- the service's own name for it
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, type=type, param=param)
        self.status_code = status_code
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"HTTP {self.status_code}: {self.message}{request}"


class BadRequestError(APIStatusError):
    """HTTP 400."""


class AuthenticationError(APIStatusError):
    """HTTP 401."""


class PermissionDeniedError(APIStatusError):
    """HTTP 403."""


class NotFoundError(APIStatusError):
    """HTTP 404."""


class ConflictError(APIStatusError):
    """HTTP 409."""


class UnprocessableEntityError(APIStatusError):
    """HTTP 422."""


class RateLimitError(APIStatusError):
    """HTTP 429."""


class InternalServerError(APIStatusError):
    """HTTP 500 and above."""


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}

_SERVER_ERROR = 500


def status_error_class(status_code: int) -> type[APIStatusError]:
    """The error class that stands for an HTTP status of 400 or above."""
    if status_code >= _SERVER_ERROR:
        return InternalServerError
    return _BY_STATUS.get(status_code, APIStatusError)


class DecodeError(RxAssistError):
    """The service sent something that cannot be what it says it is.

    ``event`` is the name of the event (or of the object) that was decoded, ``path`` the place in
    it, such as ``$.delta.content[0]``, ``value`` what stood there.
    """

    def __init__(self, event: str, path: str, value: object, expected: str) -> None:
        super().__init__(f"{event}: at {path} expected {expected}, got {excerpt(value)}")
        self.event = event
        self.path = path
        self.value = value


class EventTooLargeError(RxAssistError):
    """One Server-Sent Event is larger than ``max_event_bytes``."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"an event of the stream is larger than max_event_bytes={limit}; "
            "raise the limit if the service really sends events of that size"
        )
        self.limit = limit


class StreamTruncated(RxAssistError):  # noqa: N818 -- the name of the ending, as docs use it
    """A stream stopped before it said how its run ended.

    ``snapshot`` is what had been received, ``None`` below the operators that know it.
    """

    def __init__(self, message: str, *, snapshot: Snapshot | None = None) -> None:
        super().__init__(message)
        self.snapshot = snapshot


class StreamClosed(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The stream was closed on this side before its run ended."""


class ClientClosed(StreamClosed):
    """The client was closed while, or before, this was subscribed."""

    def __init__(self) -> None:
        super().__init__("the client is closed; make a new one")


class RunFailed(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A run ended as ``failed``, ``incomplete``, ``expired`` or ``cancelled``.

    Sent by ``raise_for_status()`` only: without it a failed run is data.
    """

    def __init__(self, run: Run, snapshot: Snapshot | None = None) -> None:
        reason = run.last_error.message if run.last_error else None
        if reason is None and run.incomplete_details:
            reason = run.incomplete_details.reason
        super().__init__(f"run {run.id} ended as {run.status!r}{f': {reason}' if reason else ''}")
        self.run = run
        self.snapshot = snapshot


class PollTimeout(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A poll did not reach its end before its deadline; ``last`` is the last state, if any."""

    def __init__(self, deadline: float, last: object) -> None:
        status = getattr(last, "status", None)
        told = f"; the last status was {status!r}" if status else ""
        super().__init__(f"no end within the deadline of {deadline:g} seconds{told}")
        self.deadline = deadline
        self.last = last


class UploadError(RxAssistError):
    """One of several files could not be uploaded.

    ``file`` is the one, ``error`` why, and ``file_ids`` are those that were uploaded before: they
    are at the service, in no vector store.
    """

    def __init__(self, file: object, error: Exception, file_ids: list[str]) -> None:
        super().__init__(f"the upload of {excerpt(file)} failed: {error}")
        self.file = file
        self.error = error
        self.file_ids = file_ids


class FilesFailed(RxAssistError):  # noqa: N818 -- as RunFailed
    """Some files of a batch were not taken in; ``files`` are they, each with its ``last_error``."""

    def __init__(self, files: Sequence[VectorStoreFile]) -> None:
        reasons = [
            f"{file.id} {file.last_error.message if file.last_error else file.status}"
            for file in files
        ]
        super().__init__(f"{len(files)} of the files failed: {'; '.join(reasons)}")
        self.files: tuple[VectorStoreFile, ...] = tuple(files)


class BlockingCallError(RxAssistError, RuntimeError):
    """A blocking call was made on the thread that it would wait for."""

    def __init__(self) -> None:
        super().__init__(
            "this call would wait for the very thread it runs on (run(), a blocking for, "
            "until_done() inside a callback or a coroutine). Instead: chain the next call with "
            "flat_map, await it on an AsyncClient, or move the callback to another thread with "
            "observe_on"
        )


class WrongLoopError(RxAssistError, RuntimeError):
    """A client was used outside the event loop, the thread or the process it belongs to."""


def api_error_fields(body: object) -> dict[str, Any]:
    """``message``, ``code``, ``type`` and ``param`` of an error object, bare or wrapped.

    Both shapes occur, in bodies of failed requests and in ``error`` events:
    ``{"message": …}`` and ``{"error": {"message": …}}``. Codes that are numbers become text.
    """
    error = body
    if isinstance(body, dict):
        said = cast("dict[str, object]", body)
        error = said.get("error", said)
    if not isinstance(error, dict):
        return {"message": str(error)} if error else {}
    said = cast("dict[str, object]", error)
    named = {key: said.get(key) for key in ("message", "code", "type", "param")}
    return {key: value if value is None else str(value) for key, value in named.items()}


__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallError",
    "ClientClosed",
    "ConflictError",
    "DecodeError",
    "EventTooLargeError",
    "FilesFailed",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "PollTimeout",
    "RateLimitError",
    "RunFailed",
    "RxAssistError",
    "StreamClosed",
    "StreamTruncated",
    "UnprocessableEntityError",
    "UploadError",
    "WrongLoopError",
]
