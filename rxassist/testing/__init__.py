"""For tests of operators, handlers and whole applications, without a network.

``Marbles`` runs Observables in virtual time, with diagrams in and diagrams out; ``EventBuilder``
and ``ResponseEventBuilder`` make events as the service sends them. ``rxassist.local`` is for tests
over real sockets.
"""

from rxassist.testing._events import EventBuilder
from rxassist.testing._marbles import END_OF_TIME, MarbleError, Marbles, MarbleSource, Recording
from rxassist.testing._response_events import ResponseEventBuilder

__all__ = [
    "END_OF_TIME",
    "EventBuilder",
    "MarbleError",
    "MarbleSource",
    "Marbles",
    "Recording",
    "ResponseEventBuilder",
]
