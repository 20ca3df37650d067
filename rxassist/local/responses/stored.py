"""What the store keeps besides responses: the items of inputs, and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from rxassist.wire.values import Model


@frozen
class InputItem(Model):
    """An item of the input of a response; ``item`` is the item itself."""

    id: str
    response_id: str
    item: Mapping[str, Any]
    object: str = "input_item"


@frozen
class Conversation(Model):
    """A conversation, which has items."""

    id: str
    created_at: int = 0
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    object: str = "conversation"


@frozen
class ConversationItem(Model):
    """An item of a conversation; ``item`` is the item itself."""

    id: str
    conversation_id: str
    item: Mapping[str, Any]
    object: str = "conversation_item"


__all__ = ["Conversation", "ConversationItem", "InputItem"]
