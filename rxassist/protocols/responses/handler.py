"""The event handlers of responses."""

from __future__ import annotations

from rxassist.protocols.responses.events import (
    AnnotationAdded,
    CallDelta,
    Event,
    OutputTextDelta,
    RefusalDelta,
    ShellDelta,
)
from rxassist.protocols.responses.models import OutputMessage, OutputText, Response, ToolCall
from rxassist.protocols.responses.snapshots import NOTHING
from rxassist.runs.streams.handlers import AwaitedHandler, BlockingHandler

_NAMES = ("ResponseEventHandler", "AsyncResponseEventHandler")


class ResponseEventHandler(
    BlockingHandler[
        Event,
        Response,
        OutputMessage,
        OutputTextDelta | RefusalDelta | AnnotationAdded,
        OutputText,
        OutputTextDelta | AnnotationAdded,
        ToolCall,
        CallDelta | ShellDelta,
    ],
    base=True,
):
    """Callbacks for the events of a response: override those that you need.

    They are those of an ``AssistantEventHandler`` that a response has a counterpart for, and are
    called in the same order: see there. Handlers of both kinds take streams of both kinds; only the
    types of what they are called with differ.
    """

    _nothing = NOTHING
    _names = _NAMES


class AsyncResponseEventHandler(
    AwaitedHandler[
        Event,
        Response,
        OutputMessage,
        OutputTextDelta | RefusalDelta | AnnotationAdded,
        OutputText,
        OutputTextDelta | AnnotationAdded,
        ToolCall,
        CallDelta | ShellDelta,
    ],
    base=True,
):
    """As ``ResponseEventHandler``, with callbacks that are awaited, one after the other.

    One task awaits all callbacks of a stream; while one runs, the stream waits, and its source is
    paused when a few events wait. If the stream is left early, a running callback is cancelled, but
    not ``on_exception`` and ``on_end``.
    """

    _nothing = NOTHING
    _names = _NAMES


__all__ = ["AsyncResponseEventHandler", "ResponseEventHandler"]
