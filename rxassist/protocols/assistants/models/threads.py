"""Threads (API reference: Threads)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from rxassist.protocols.assistants.models.values import ToolResources
from rxassist.wire.values import Model


@frozen
class Thread(Model):
    """A conversation of messages and runs."""

    id: str
    object: str = "thread"
    created_at: float = 0
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    tool_resources: ToolResources | None = None


__all__ = ["Thread"]
