"""What every call takes besides its parameters: additions to its requests, how they are made."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from rxassist.wire.transport import ResponseHead


class Timeout(Protocol):
    """What an ``httpx.Timeout`` has of what counts here."""

    @property
    def connect(self) -> float | None:
        """Seconds for connecting."""
        ...

    @property
    def read(self) -> float | None:
        """Seconds for the answer."""
        ...


Object: TypeAlias = Mapping[str, Any]


Objects: TypeAlias = Iterable[Object]


Metadata: TypeAlias = Mapping[str, str]


class RequestOptions(TypedDict, total=False):
    """What every call takes: additions to its request, and how it is made.

    ``timeout`` (seconds, ``None`` for without bound) and ``max_retries`` replace the client's.
    """

    extra_headers: Mapping[str, str] | None
    """Headers to add to the request; they replace those of the same name."""
    extra_query: Object | None
    """Parameters to add to the query of the request."""
    extra_body: Object | None
    """Fields to add to the JSON body of a ``POST``."""
    timeout: float | Timeout | None
    """Seconds for one request, ``None`` for no bound, or an ``httpx.Timeout``, of which ``connect``
    and ``read`` count; instead of the client's."""
    max_retries: int
    """How often a request that failed is sent again; instead of the client's."""
    on_response: Callable[[ResponseHead], object] | None
    """A function that is called on the client's event loop with the head of each answer: its
    status, headers and request id. An exception of it fails the call."""


class PollOptions(RequestOptions, total=False):
    """How a poll is made.

    Without ``poll_interval_ms`` the service's ``openai-poll-after-ms`` is obeyed each time, else
    one second passes. After ``deadline`` seconds the poll ends in ``PollTimeout``.

    For ``patience`` seconds it asks again where the service is out of reach or does not find what
    is polled: 60 of what the same call has created or gone on with, which may be stored late. By
    default any other poll fails at once. Where a run is created it is the patience of
    ``idempotent``, too.
    """

    poll_interval_ms: float
    """Milliseconds between two polls; by default as the service asks, else 1,000."""
    deadline: float | None
    """Seconds after which the poll ends in ``PollTimeout``; by default never."""
    patience: float | None
    """Seconds for which the service may be out of reach, or not find what it stores late."""


class ListParameters(RequestOptions, total=False):
    """Which items of a list: ``limit`` of them a page, from 1 to 100."""

    limit: int
    """How many items one page has, from 1 to 100."""
    order: Literal["asc", "desc"]
    """``"asc"`` gives the oldest items first, ``"desc"`` the newest."""
    after: str
    """The id of an item: the list begins after it."""
    before: str
    """The id of an item: the list ends before it."""


__all__ = [
    "ListParameters",
    "Metadata",
    "Object",
    "Objects",
    "PollOptions",
    "RequestOptions",
    "Timeout",
]
