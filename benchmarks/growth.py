"""CPU per event as a stream grows: text, tool calls and snapshots subscribed, all events kept.

``view`` names another view of ``in_memory.py`` instead, such as ``handler``. What a stream without
deltas costs is taken off, so that a short one does not look dearer than it is for the request that
each of them makes. The same view of openai, its handler, for comparison.
"""

from __future__ import annotations

from typing import Any

from benchmarks import bodies, in_memory
from benchmarks.delivery import checksum

_EVENTS = 20_000
_PEER_EVENTS = 1_000
_EMPTY = 50


def measure(
    side: str,
    *,
    shape: str,
    deltas: int,
    view: str = "views",
    mode: str = "",
    repeats: int | None = None,
) -> dict[str, Any]:
    """CPU and wall seconds per event beyond those of an empty stream."""
    mode = mode or ("async" if side == "rxassist" else "sync")
    full, empty = bodies.make(shape, deltas), bodies.make(shape, 0)
    view = f"responses-{view}" if shape == "response" else view
    empties = repeats or _EMPTY
    repeats = repeats or max(1, (_EVENTS if side == "rxassist" else _PEER_EVENTS) // deltas)
    cpu, wall, delivered = in_memory.passes(side, view, mode, full, "event", repeats)
    base_cpu, base_wall, _ = in_memory.passes(side, view, mode, empty, "event", empties)
    events = len(full[0].events) - len(empty[0].events)
    return {
        "cpu": (cpu - base_cpu) / events,
        "wall": (wall - base_wall) / events,
        "delivered": checksum(delivered),
    }
