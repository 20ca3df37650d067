"""The Responses API: its objects, its events, and what accumulates of them.

``Response`` is what a run is there, and ``Snapshot`` how it stands; the events are told apart by
their class, or by ``event.type``, their name on the wire. ``rxassist.responses.operators`` has the
operators of ``rxassist.operators`` with the types of this protocol. API reference: Responses.
"""

from rxassist.protocols.responses import events as _events
from rxassist.protocols.responses import models as _models
from rxassist.protocols.responses.events import *  # noqa: F403 -- its names are written down there
from rxassist.protocols.responses.models import *  # noqa: F403 -- its names are written down there
from rxassist.protocols.responses.snapshots import Snapshot

__all__ = ["Snapshot"]
__all__ += _events.__all__
__all__ += _models.__all__
