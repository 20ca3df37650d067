"""``client.assistants``: API reference, Assistants."""

from __future__ import annotations

from typing import Unpack

from rxassist.client._arguments import checked
from rxassist.client._resource import Resource, StreamT
from rxassist.client.parameters import AssistantParameters
from rxassist.consumers import LoopObservable
from rxassist.models import Assistant


class Assistants(Resource[StreamT]):
    """Models with instructions and tools."""

    def create(self, **parameters: Unpack[AssistantParameters]) -> LoopObservable[Assistant]:
        """Create an assistant: a cold Observable of it. ``POST /assistants``."""
        body = checked(parameters, AssistantParameters)
        return self._call(Assistant, "POST", "/assistants", body)
