"""What the service says: one class for each kind of event.

``event.event`` is the name on the wire and tells the classes apart, for people and for type
checkers (``"unknown"`` for an ``UnknownEvent``); ``event.data`` is the object. API reference:
Assistants, streaming events.
"""

from rxassist.protocols.assistants.events import *  # noqa: F403 -- its names are written down there
from rxassist.protocols.assistants.events import __all__ as __all__  # noqa: PLC0414 -- it is public
