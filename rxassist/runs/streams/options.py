"""The options of calls that start and follow runs: they act on this side, and are not sent.

Each protocol mixes them into the parameters of its calls.
"""

# Evaluated at once (no ``from __future__ import annotations``): code reads the keys at runtime.

from typing import Generic, TypedDict, TypeVar

from rxassist.runs.state import AnyToolCall
from rxassist.runs.streams.creation import IfBusy
from rxassist.runs.streams.leaving import OnDispose
from rxassist.runs.tools.calls import Approve, OnToolError
from rxassist.wire.options import PollOptions

_HandlerT = TypeVar("_HandlerT")
_ApprovableT = TypeVar("_ApprovableT", bound=AnyToolCall)
_CallT = TypeVar("_CallT", bound=AnyToolCall)


class BusyOptions(TypedDict, total=False):
    """What to do on a thread with a run that works or waits: none of these options is sent.

    ``if_busy="fail"``, the default, raises a ``ThreadBusyError``; ``"wait"`` waits until that run
    has ended; ``"cancel"`` cancels it. Runs and messages of one client that wait for one thread
    keep the order of their subscriptions; with ``Budget(redis=…)`` those of all its clients do, in
    all processes.
    """

    if_busy: IfBusy
    """What to do on a thread with an active run: ``"fail"``, ``"wait"`` or ``"cancel"`` it."""


class StartOptions(BusyOptions, total=False):
    """How a run is started: none of these options is sent.

    If it is unknown whether a run was created, the call fails with ``RunOutcomeUnknown``, and does
    not request the run again. With ``idempotent`` the run has a mark in its metadata, and the call
    first looks for a run with that mark, for ``patience`` seconds (30; ``None``: once).
    """

    idempotent: bool
    """Mark the run, so that it can be found if an answer is lost: never two runs."""
    patience: float | None
    """Seconds for which ``idempotent`` looks for the run (30); ``None``: it looks once."""


class ToolOptions(TypedDict, Generic[_ApprovableT, _CallT], total=False):
    """How the functions among ``tools`` are called when the run requires them.

    The definitions of a list are sent as the run's ``tools``, instead of the assistant's, and its
    functions are called. A ``Toolbox`` is only called: the assistant has its ``definitions``.

    All calls of a round run at once, or ``max_concurrent_tools`` of them, for ``tool_timeout``
    seconds each, by default without bound. ``approve`` is called before each call, also before
    calls that the service makes itself (MCP): a function, a coroutine or an Observable that gives
    ``True``, or a reason against the call. If a call fails, the model receives the error; with
    ``on_tool_error="raise"`` the stream or poll ends in a ``ToolError``; a function of the call and
    the error returns the reply to the model. After ``max_rounds`` rounds (16) the stream or poll
    ends in a ``ToolRoundsExceeded``.
    """

    max_rounds: int
    """How often the run may require tools (16); one more ends in ``ToolRoundsExceeded``."""
    max_concurrent_tools: int | None
    """How many functions run at once; by default all calls of a round."""
    tool_timeout: float | None
    """Seconds for each function; by default no bound."""
    on_tool_error: OnToolError[_CallT]
    """``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of call and error."""
    approve: Approve[_ApprovableT] | None
    """A function that is called before each call: it returns ``True``, or a reason against it."""


class StreamOptions(TypedDict, Generic[_HandlerT], total=False):
    """How a stream behaves on this side: none of these options is sent.

    ``replay=False`` drops the events that every subscriber has received. The stream reads at most
    ``read_ahead`` events ahead of a reader that can be slow (1,024; ``None``: no bound).
    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, and ``close()`` waits for that; ``"detach"``, the default, leaves it working. With
    ``linger`` the stream continues for so many seconds after the last subscriber left, for one that
    comes back; by default it ends at once. ``event_handler`` receives each event once, before any
    subscriber; it is an ``AssistantEventHandler`` on a ``Client``, an
    ``AsyncAssistantEventHandler`` on an ``AsyncClient``.

    If the connection is lost, or silent for ``idle_timeout`` seconds (by default the client's; any
    byte ends the silence), the run is still followed to its end, unless ``recover`` is ``False``;
    the service may be out of reach for ``recovery_timeout`` seconds (60). The whole stream ends
    after ``deadline`` seconds, by default never, in an ``APITimeoutError``; if the run then waits
    for ``tools`` of this call, it is cancelled, as no code would resume it.
    """

    recover: bool
    """Whether a run is followed to its end after its connection is lost (``True``)."""
    recovery_timeout: float
    """Seconds for which the service may be out of reach then (60)."""
    idle_timeout: float | None
    """Seconds of silence after which a stream is recovered; ``None`` for no bound."""
    deadline: float | None
    """Seconds after which the stream ends in an error; by default never."""
    replay: bool
    """``False`` drops the events that every subscriber has received."""
    read_ahead: int | None
    """How many events the stream may read ahead of a slow reader (1,024; ``None``: no bound)."""
    on_dispose: OnDispose
    """``"cancel"`` cancels the run when the last reader leaves; ``"detach"`` does not."""
    linger: float
    """Seconds for which the stream continues after the last subscriber has left (0)."""
    event_handler: _HandlerT | None
    """Its callbacks are called once for each event, before any subscriber."""


class RunPollOptions(PollOptions, total=False):
    """How a run is polled.

    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, or the deadline comes; ``"detach"``, the default, leaves it working.

    After ``deadline`` seconds, counted from the subscription, the poll ends in ``PollTimeout``,
    even if the run has not begun. If the run then waits for ``tools`` of this call, as far as the
    polls know, it is cancelled, as no code would resume it. ``PollTimeout`` comes only when a run
    that is being cancelled has ended, at most five seconds late; a failure to cancel is logged.
    """

    on_dispose: OnDispose
    """``"cancel"`` cancels the run when readers leave or time is up; ``"detach"`` does not."""


__all__ = ["BusyOptions", "RunPollOptions", "StartOptions", "StreamOptions", "ToolOptions"]
