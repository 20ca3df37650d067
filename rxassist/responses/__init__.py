"""The Responses API: its objects, its events, its streams and handlers.

``Response`` is what a run is there, and ``Snapshot`` how it stands; the events are told apart by
their class, or by ``event.type``, their name on the wire. ``rxassist.responses.operators`` has the
operators of ``rxassist.operators`` with the types of this protocol. API reference: Responses.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from rxassist.protocols.responses import events as _events
from rxassist.protocols.responses import models as _models
from rxassist.protocols.responses.events import *  # noqa: F403 -- its names are written down there
from rxassist.protocols.responses.models import *  # noqa: F403 -- its names are written down there
from rxassist.protocols.responses.snapshots import Snapshot

if TYPE_CHECKING:
    from rxassist.protocols.responses.handler import (
        AsyncResponseEventHandler,
        ResponseEventHandler,
    )
    from rxassist.protocols.responses.streams import AsyncResponseStream, ResponseStream

__all__ = [
    "AsyncResponseEventHandler",
    "AsyncResponseStream",
    "ResponseEventHandler",
    "ResponseStream",
    "Snapshot",
]
__all__ += _events.__all__
__all__ += _models.__all__

_LATE = {
    "AsyncResponseEventHandler": "handler",
    "AsyncResponseStream": "streams",
    "ResponseEventHandler": "handler",
    "ResponseStream": "streams",
}


def __getattr__(name: str) -> object:
    """Streams and handlers are imported when they are asked for: events alone are light."""
    if name == "operators":
        return import_module(f"{__name__}.operators")
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"rxassist.protocols.responses.{_LATE[name]}"), name)
    globals()[name] = value
    return value
