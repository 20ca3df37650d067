"""``client.assistants``: API reference, Assistants."""

from __future__ import annotations

from typing import Unpack

from rxassist.client._arguments import path
from rxassist.client._resource import Listing, Resource, StreamT
from rxassist.client.parameters import (
    AssistantParameters,
    AssistantUpdateParameters,
    ListParameters,
    RequestOptions,
)
from rxassist.consumers import LoopObservable
from rxassist.models import Assistant, Deleted

_ALL = "/assistants"
_ONE = "/assistants/{assistant_id}"


class Assistants(Resource[StreamT]):
    """Models with instructions and tools."""

    def create(self, **parameters: Unpack[AssistantParameters]) -> LoopObservable[Assistant]:
        """Create an assistant, once: an Observable of it. ``POST /assistants``."""
        return self._create(Assistant, self._request("POST", _ALL, parameters, AssistantParameters))

    def retrieve(
        self, assistant_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Assistant]:
        """The assistant: a cold Observable. ``GET /assistants/{assistant_id}``."""
        where = path(_ONE, assistant_id=assistant_id)
        return self._call(Assistant, self._request("GET", where, options))

    def update(
        self, assistant_id: str, **parameters: Unpack[AssistantUpdateParameters]
    ) -> LoopObservable[Assistant]:
        """Change an assistant: a cold Observable of it. ``POST /assistants/{assistant_id}``."""
        where = path(_ONE, assistant_id=assistant_id)
        request = self._request("POST", where, parameters, AssistantUpdateParameters)
        return self._call(Assistant, request)

    def list(self, **parameters: Unpack[ListParameters]) -> Listing[Assistant]:
        """The assistants, newest first: a cold Observable of items. ``GET /assistants``."""
        return self._list(Assistant, _ALL, parameters, ListParameters)

    def delete(
        self, assistant_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted]:
        """Delete an assistant: a cold Observable. ``DELETE /assistants/{assistant_id}``."""
        return self._delete(path(_ONE, assistant_id=assistant_id), options)
