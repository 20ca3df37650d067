"""Everything that rxassist raises or sends to ``on_error``.

No error here shows a credential: errors are built from the service's answer, never from the
request, and a credential that a server repeats is ``***``. Ids such as ``run_id`` stay as they are,
because code uses them; they are redacted in texts. Runs and snapshots stay as they are, too: they
are data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from reactivex.internal import SequenceContainsNoElementsError

from rxassist.errors.redaction import (
    HIDDEN,
    beginning,
    holds_secret,
    printable,
    redacted,
    redacted_data,
)

if TYPE_CHECKING:
    from rxassist.protocols.files.models import VectorStoreFile

_OfProtocol: TypeAlias = Any
"""A run or a snapshot, as the protocol of the run has it."""

_WORDS = frozenset({"code", "type"})  # of the service's vocabulary
_LARGEST = 64 * 1024  # characters of a value that an error keeps: searching more takes too long
_EXCERPT = 120


def excerpt(value: object) -> str:
    """The ``repr`` of a value, without credentials, short enough for a line of a log."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"<{type(value).__name__} that is nested too deep to show>"
    shown = beginning(text, _EXCERPT)
    return shown if len(text) <= _EXCERPT else f"{shown}… ({len(text)} characters)"


class RxAssistError(Exception):
    """The base of every error of this library.

    If it ended a stream, ``snapshot`` is the run so far, ``run_id`` and ``thread_id`` are the ids
    of the run, if the stream has sent them, and ``last_event`` is the name of its last event.
    Its text is one line.
    """

    snapshot: _OfProtocol = None
    run_id: str | None = None
    thread_id: str | None = None
    last_event: str | None = None

    def __init__(self, *args: object) -> None:
        super().__init__(*map(redacted_data, args))

    def __str__(self) -> str:
        return printable(super().__str__())

    def add_note(self, note: str, /) -> None:
        """Add a line below the error in tracebacks."""
        super().add_note(printable(redacted(note)))

    def ended_after(self, snapshot: _OfProtocol) -> None:
        """Keep the last snapshot of the stream that this error ended; tracebacks show it, too."""
        run, event = snapshot.run, snapshot.event
        self.snapshot = snapshot
        self.last_event = redacted(event.name) if event else None
        if run is not None:
            self.run_id, self.thread_id = self.run_id or run.id, self.thread_id or run.thread_id
        if self.last_event is not None:
            run_id, thread_id = self.run_id or "unknown", self.thread_id or "unknown"
            self.add_note(f"run {run_id}, thread {thread_id}, last event {self.last_event!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors be pickled and copied, whatever arguments their constructors take."""
        return _restored, (type(self), self.args, self.__dict__)


def stand_alone(error: RxAssistError) -> None:
    """Remove the cause of an error if it is not ours: it may hold data sent or received.

    An exception of an HTTP library holds the request with its headers, one of a parser the text.
    """
    below = error.__cause__, error.__context__
    for each in below:
        if isinstance(each, RxAssistError):
            stand_alone(each)
    if not isinstance(error.__cause__, RxAssistError):
        error.__cause__ = None
    if not isinstance(error.__context__, RxAssistError):
        error.__context__ = None


def _restored(
    kind: type[RxAssistError], args: tuple[Any, ...], state: dict[str, Any]
) -> RxAssistError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIError(RxAssistError):
    """The service sent an error, or could not be reached.

    ``code``, ``type`` and ``param`` are the fields of the service's error object, ``None`` if it
    has none. ``code`` and ``type`` are as the service sent them; one that holds a whole credential
    is no code, and is ``***``. ``snapshot`` is the run so far, if the error arrived inside a
    stream.
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
        self.message: str = redacted(message)
        self.code: str | None = _word(code)
        self.type: str | None = _word(type)
        self.param: str | None = param and redacted(param)


def _word(said: str | None) -> str | None:
    """A word of the service's vocabulary: shown or hidden as a whole, never in part."""
    return HIDDEN if said and holds_secret(said) else said


class APIConnectionError(APIError):
    """The service could not be reached, or the connection broke.

    ``sent`` is true if the request may have reached the service.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """The service did not answer in time."""


class RunOutcomeUnknown(APIConnectionError):  # noqa: N818 -- as StreamTruncated
    """A run was requested, and no answer of the service itself shows whether it exists.

    The connection broke, or a gateway answered. ``thread_id`` is the thread to look at, ``None`` if
    the request creates the thread, too, and of a response. ``__cause__`` is the error of the
    connection, or the answer. ``advice`` says what to do about a response.
    """

    def __init__(
        self,
        thread_id: str | None,
        cause: str,
        searched: str | None = None,
        *,
        advice: str | None = None,
    ) -> None:
        look = (
            f"look for it with client.threads.runs.list({thread_id!r}, limit=1)"
            if thread_id
            else "the same request creates the thread, so there is no thread to look at"
        )
        how = f"{searched}; {look}" if searched else f"{look}. idempotent=True looks for the run"
        what, how = ("run", how) if advice is None else ("response", advice)
        super().__init__(
            f"a {what} was requested, and it is unknown whether it exists ({cause}): {how}"
        )
        self.thread_id = thread_id


class WrongAnswerError(APIError):
    """The answer is not the service's: a page instead of an event stream, or one without end."""


class Headers(Mapping[str, str]):
    """The headers of an answer; their names may be in any case."""

    __slots__ = ("_values",)

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._values = {name.lower(): value for name, value in (given or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._values[str(name).lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values!r})"


class APIStatusError(APIError):
    """The service, or a gateway before it, answered with an HTTP status of 400 or above.

    ``of_service`` is true if the body is the service's error object, and false for a page or
    another text. ``retry_after`` is the number of seconds to wait, if the answer has it.
    ``method`` and ``path`` are those of the request, ``headers`` those of the answer, with names in
    any case; credentials in them are masked.
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
        of_service: bool = False,
        method: str | None = None,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, type=type, param=param)
        self.status_code = status_code
        self.request_id: str | None = request_id and redacted(request_id)
        self.retry_after = retry_after
        self.of_service = of_service
        self.method = method
        self.path = path
        self.headers: Mapping[str, str] = Headers(headers)

    def __str__(self) -> str:
        asked = f"{self.method} {self.path}: " if self.path else ""
        request = f" (request {self.request_id})" if self.request_id else ""
        message = " ".join(self.message.split())
        return printable(f"{asked}HTTP {self.status_code}: {message}{request}")


class BadRequestError(APIStatusError):
    """HTTP 400."""


class ThreadBusyError(BadRequestError):
    """The thread has a run that works or waits; ``run_id`` is that run.

    With ``if_busy="wait"`` a new run or message waits for the end of that run; with
    ``if_busy="cancel"`` that run is cancelled first.
    """

    def __str__(self) -> str:
        return f'{super().__str__()}; if_busy="wait" waits for that run, "cancel" cancels it'


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

_BAD_REQUEST, _SERVER_ERROR = 400, 500
_NOT_DONE = frozenset({429, 503})
_BUSY = re.compile(r"\b(run_\w+) is active\b|\bactive run `?(run_\w+)")


def status_error(message: str, *, status_code: int, **said: Any) -> APIStatusError:
    """The error for an HTTP status of 400 or above, with the fields of the answer."""
    kind = _BY_STATUS.get(status_code, APIStatusError)
    if status_code >= _SERVER_ERROR:
        kind = InternalServerError
    busy = _BUSY.search(message) if status_code == _BAD_REQUEST else None
    if busy is None:
        return kind(message, status_code=status_code, **said)
    error = ThreadBusyError(message, status_code=status_code, **said)
    error.run_id = busy[1] or busy[2]
    return error


def says_not_done(error: Exception) -> bool:
    """Whether the service itself says that it did not act: its error object, with 429 or 503."""
    return isinstance(error, APIStatusError) and error.of_service and error.status_code in _NOT_DONE


class DecodeError(RxAssistError):
    """The service sent invalid data: an event or an object of the wrong shape.

    ``event`` is the name of the event (or of the object) that was decoded, ``path`` the path in
    it, such as ``$.delta.content[0]``, ``value`` the value at that path, or an excerpt of it if it
    is large.
    """

    def __init__(self, event: str, path: str, value: object, expected: str) -> None:
        super().__init__(f"{event}: at {path} expected {expected}, got {excerpt(value)}")
        self.event: str = redacted(event)
        self.path: str = redacted(path)
        self.value: object = _shown(value)


def _shown(value: object) -> object:
    try:
        return redacted_data(value) if len(repr(value)) <= _LARGEST else excerpt(value)
    except RecursionError:
        return excerpt(value)


class EventTooLargeError(RxAssistError):
    """One Server-Sent Event is larger than ``max_event_bytes``."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"an event of the stream is larger than max_event_bytes={limit}; "
            "raise the limit if the service really sends events of that size"
        )
        self.limit = limit


class StreamTruncated(RxAssistError):  # noqa: N818 -- the name of the ending, as docs use it
    """A stream stopped before the end of its run.

    ``snapshot`` is the run so far, ``None`` below the operators that know it.
    """

    def __init__(self, message: str, *, snapshot: _OfProtocol = None) -> None:
        super().__init__(message)
        self.snapshot = snapshot


class StreamDiverged(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The value stored at the service does not continue the streamed one.

    Sent by the recovery of a lost connection, and where the service began a run anew: continuing
    would repeat or lose text. ``id`` is the run, message, step or call, ``streamed`` the value from
    the stream, ``stored`` the service's.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 -- its name
        streamed: object,
        stored: object,
        *,
        advice: str = "read the stored run with runs.retrieve and messages.list",
    ) -> None:
        super().__init__(
            f"{id}: the stored value ({excerpt(stored)}) does not continue the streamed one "
            f"({excerpt(streamed)}); {advice}"
        )
        self.id = id
        self.streamed: object = redacted_data(streamed)
        self.stored: object = redacted_data(stored)


class StreamClosed(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The stream was closed on this side before its run ended."""


class ClientClosed(StreamClosed):
    """The client was closed before or during this subscription."""

    def __init__(self) -> None:
        super().__init__("the client is closed; make a new one")


def closed_by(error: BaseException) -> StreamClosed:
    """The error for subscribers of a stream that an exception such as ``SystemExit`` has ended."""
    closed = StreamClosed(
        f"the stream was closed before its end: {type(error).__name__} was raised"
    )
    closed.__cause__ = error
    return closed


class RunFailed(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A run ended as ``failed``, ``incomplete``, ``expired`` or ``cancelled``.

    Sent by ``raise_for_status()`` only: without it a failed run is data.
    """

    def __init__(self, run: _OfProtocol, snapshot: _OfProtocol = None) -> None:
        reason = run.last_error.message if run.last_error else None
        if reason is None and run.incomplete_details:
            reason = run.incomplete_details.reason
        super().__init__(f"run {run.id} ended as {run.status!r}{f': {reason}' if reason else ''}")
        self.run: _OfProtocol = run
        self.snapshot = snapshot


class ToolError(RxAssistError):
    """A tool failed, and the stream was set to end then; the run was cancelled.

    ``call`` is the model's call, ``__cause__`` the error of the tool.
    """

    def __init__(self, name: str, call: object, cause: Exception) -> None:
        super().__init__(f"the tool {name!r} failed: {type(cause).__name__}: {cause}")
        self.call = call
        self.__cause__: BaseException | None = cause


class ToolRoundsExceeded(RxAssistError):  # noqa: N818 -- as RunFailed
    """A model called tools in too many rounds; the run was cancelled."""

    def __init__(self, max_rounds: int) -> None:
        super().__init__(
            f"the model called tools once more after {max_rounds} rounds of calls; if a run "
            f"really needs more, raise max_rounds={max_rounds}"
        )
        self.max_rounds = max_rounds


class PollTimeout(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A poll did not reach its end before its deadline; ``last`` is the last state, if any.

    It has the ids of the polled object, and ``None`` for the others: ``run_id`` and ``thread_id``;
    ``vector_store_id`` with ``batch_id`` or ``file_id``; ``file_id`` alone. If a run never began,
    because another one works or waits on its thread, ``__cause__`` is the ``ThreadBusyError`` that
    names that run.
    """

    def __init__(
        self, deadline: float, last: object, ids: Mapping[str, str] | None = None, why: str = ""
    ) -> None:
        ids = ids or {}
        named = ", ".join(f"{_kind_of(name)} {each}" for name, each in ids.items())
        status = getattr(last, "status", None)
        told = f"; the last status was {status!r}" if status else ""
        super().__init__(
            f"{named}{': ' if named else ''}no end within the deadline of {deadline:g} "
            f"seconds{told}{'; ' if why else ''}{why}"
        )
        self.deadline = deadline
        self.last = last
        self.run_id: str | None = ids.get("run_id")
        self.thread_id: str | None = ids.get("thread_id")
        self.vector_store_id: str | None = ids.get("vector_store_id")
        self.batch_id: str | None = ids.get("batch_id")
        self.file_id: str | None = ids.get("file_id")


def _kind_of(name: str) -> str:
    """The name of an id's object in words: ``vector store`` for ``vector_store_id``."""
    return name.removesuffix("_id").replace("_", " ")


class EmptyError(RxAssistError, SequenceContainsNoElementsError):
    """An Observable completed without an item, so it has no last one.

    ``run()`` and ``await`` raise it. It is a ``SequenceContainsNoElementsError`` of RxPY, too.
    """


class UploadError(RxAssistError):
    """One of several files could not be uploaded, or no uploaded file could be added to a store.

    ``file`` is that file, or all of them, ``error`` the reason, and ``file_ids`` are the files that
    were uploaded: they are at the service, in no vector store.
    """

    def __init__(
        self, file: object, error: Exception, file_ids: list[str], *, uploaded: bool = False
    ) -> None:
        called = _called(file)
        why = f"{called} could not be added to the vector store, but the upload succeeded"
        super().__init__(f"{why if uploaded else f'the upload of {called} failed'}: {error}")
        self.file = file
        self.error = error
        self.file_ids = file_ids


def _called(file: object) -> str:
    """The name of a file, without any of its content."""
    if isinstance(file, list):
        count = len(cast("list[object]", file))
        return "1 file" if count == 1 else f"{count} files"
    named = cast("tuple[object, ...]", file)[0] if isinstance(file, tuple) else file
    if isinstance(named, str | PathLike):
        return excerpt(str(cast("object", named)))
    name: object = getattr(named, "filename", None) or getattr(named, "name", None)
    return excerpt(name) if isinstance(name, str) else f"a file ({type(named).__name__})"


class FilesFailed(RxAssistError):  # noqa: N818 -- as RunFailed
    """Some files of a batch were not indexed.

    ``files`` are these files, each with its ``last_error``; ``names`` are the known names of files,
    by id.
    """

    def __init__(
        self, files: Sequence[VectorStoreFile], names: Mapping[str, str] | None = None
    ) -> None:
        self.files: tuple[VectorStoreFile, ...] = tuple(files)
        self.names: dict[str, str] = dict(names or {})
        reasons = [
            f"{self._called(file)} {file.last_error.message if file.last_error else file.status}"
            for file in files
        ]
        super().__init__(f"{len(files)} of the files failed: {'; '.join(reasons)}")

    def _called(self, file: VectorStoreFile) -> str:
        name = self.names.get(file.id)
        return file.id if name is None else f"{name} ({file.id})"


class BlockingCallError(RxAssistError, RuntimeError):
    """A blocking call was made on the very thread that it would wait for."""

    def __init__(self) -> None:
        super().__init__(
            "this call would wait for the very thread it runs on (run(), a blocking for, "
            "until_done() inside a callback or a coroutine). Instead: pass the functions that a "
            "run calls as tools=[…], chain the next call with flat_map, await it on an "
            "AsyncClient, or move the callback to another thread with observe_on"
        )


class WrongLoopError(RxAssistError, RuntimeError):
    """A client was used outside the event loop, the thread or the process it belongs to."""


class ProducerLost(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """Nobody produces the run of a log any more, and its end was never written.

    Its producer died, or cannot reach the store, and no other worker took the run over in time.
    The run may still go on at the service.
    """

    def __init__(self, key: str, seconds: float) -> None:
        super().__init__(
            f"run {key!r} has no producer and no end: nobody took it over within {seconds:g} s. "
            "A worker takes runs over with runs.orphans() and runs.take_over(key, client)"
        )
        self.key = key


class AlreadyProduced(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A run with this key is produced by another worker, or has ended: follow it instead."""

    def __init__(self, key: str, how: str = "is produced already") -> None:
        super().__init__(f"run {key!r} {how}; follow it with runs.follow or runs.sse")
        self.key = key


class Fenced(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """A producer could not write to a log, because another one has taken the run over."""

    def __init__(self, key: str) -> None:
        super().__init__(f"run {key!r} was taken over by another producer, which goes on with it")
        self.key = key


class CursorUnavailable(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The log of a run does not hold what comes next: it was trimmed, or lost, or is not there.

    A follower never skips what is missing. The run itself is at the service.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"run {key!r}: {why}")
        self.key = key


class StoreUnavailable(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The store of the logs, such as Redis, could not be reached for too long, or refused.

    ``passes`` is true if another attempt may succeed, as after a failover.
    """

    def __init__(self, message: str, *, passes: bool = True) -> None:
        super().__init__(message)
        self.passes = passes


class LogTooLarge(RxAssistError):  # noqa: N818 -- as StreamTruncated
    """The log of a run is larger than ``max_bytes``; the run itself goes on at the service."""

    def __init__(self, key: str, limit: int) -> None:
        super().__init__(
            f"the log of run {key!r} is larger than max_bytes={limit}; raise the limit if runs are "
            "really that long"
        )
        self.key = key
        self.limit = limit


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


def redacted_error(said: Mapping[str, object]) -> dict[str, object]:
    """An error object without credentials; shows or hides ``code`` and ``type`` as a whole."""
    return {
        key: _word(value) if key in _WORDS and isinstance(value, str) else redacted_data(value)
        for key, value in said.items()
    }


__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AlreadyProduced",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallError",
    "ClientClosed",
    "ConflictError",
    "CursorUnavailable",
    "DecodeError",
    "EmptyError",
    "EventTooLargeError",
    "Fenced",
    "FilesFailed",
    "InternalServerError",
    "LogTooLarge",
    "NotFoundError",
    "PermissionDeniedError",
    "PollTimeout",
    "ProducerLost",
    "RateLimitError",
    "RunFailed",
    "RunOutcomeUnknown",
    "RxAssistError",
    "StoreUnavailable",
    "StreamClosed",
    "StreamDiverged",
    "StreamTruncated",
    "ThreadBusyError",
    "ToolError",
    "ToolRoundsExceeded",
    "UnprocessableEntityError",
    "UploadError",
    "WrongLoopError",
]
