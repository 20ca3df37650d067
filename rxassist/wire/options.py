"""The options of every call, besides its parameters: additions to its requests, and bounds."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from rxassist.wire.transport import ResponseHead


class Timeout(Protocol):
    """The parts of an ``httpx.Timeout`` that count here."""

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
    """The options of every call: additions to its request, and bounds.

    ``timeout`` (seconds, ``None`` for no bound) and ``max_retries`` replace the client's.
    """

    extra_headers: Mapping[str, str] | None
    """Headers to add to the request; they replace those of the same name."""
    extra_query: Object | None
    """Parameters to add to the query of the request."""
    extra_body: Object | None
    """Fields to add to the JSON body of a ``POST``."""
    timeout: float | Timeout | None
    """Seconds for one request, ``None`` for no bound, or an ``httpx.Timeout`` (only its ``connect``
    and ``read`` count); instead of the client's."""
    max_retries: int
    """How often a request that failed is sent again; instead of the client's."""
    on_response: Callable[[ResponseHead], object] | None
    """A function that is called on the client's event loop with the head of each answer: its
    status, headers and request id. If it raises, the call fails."""


class PollOptions(RequestOptions, total=False):
    """The options of a poll.

    Without ``poll_interval_ms`` it waits as long as the service's ``openai-poll-after-ms`` says,
    else one second. After ``deadline`` seconds the poll ends in ``PollTimeout``.

    A poll fetches at once. Only if more than twenty polls of one client begin together, the others
    are spread over their interval; ``at_once=True`` excepts a poll from that.

    For ``patience`` seconds it tries again if the service is out of reach or does not find the
    polled object: by default 60 seconds if the same call has created or resumed the object, which
    may be stored late. By default any other poll fails at once. In a call that creates a run it is
    the patience of ``idempotent``, too.
    """

    poll_interval_ms: float
    """Milliseconds between two polls; by default the service's value, else 1,000."""
    deadline: float | None
    """Seconds after which the poll ends in ``PollTimeout``; by default never."""
    at_once: bool
    """Fetch at once, however many polls of the client begin together (``False``: in a herd,
    some time within the interval)."""
    patience: float | None
    """Seconds for which the service may be out of reach, or not find an object it stores late."""


class ListParameters(RequestOptions, total=False):
    """The options of a list: ``limit`` is the number of items in a page, from 1 to 100."""

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
