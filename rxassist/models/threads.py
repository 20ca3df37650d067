"""Threads (API reference: Threads)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from rxassist.models._values import ToolResources


@frozen
class Thread:
    """A conversation that messages and runs belong to."""

    id: str
    object: str = "thread"
    created_at: float = 0
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    tool_resources: ToolResources | None = None
