"""``client.assistants``: API reference, Assistants."""

from __future__ import annotations

from typing import Unpack

from rxassist.protocols.assistants.models import Assistant
from rxassist.protocols.assistants.parameters import AssistantParameters, AssistantUpdateParameters
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.tools.tool import with_definitions
from rxassist.wire.arguments import path
from rxassist.wire.calls import Listing, Resource
from rxassist.wire.options import ListParameters, RequestOptions
from rxassist.wire.values import Deleted

_ALL = "/assistants"
_ONE = "/assistants/{assistant_id}"


class Assistants(Resource[HomeT]):
    """Models with instructions and tools."""

    def create(self, **parameters: Unpack[AssistantParameters]) -> LoopObservable[Assistant, HomeT]:
        """Create an assistant, once: an Observable of it. ``POST /assistants``.

        Keywords:

        - ``model``, required: the name of the model.
        - ``name``: the name, of at most 256 characters.
        - ``description``: the description, of at most 512 characters.
        - ``instructions``: the system instructions for the model: its role and its task.
        - ``tools``: the tools: functions, mappings or models. Functions are sent as definitions.
        - ``tool_resources``: the files and vector stores that the tools may use.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answers are, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``reasoning_effort``: how much a reasoning model thinks, such as ``"low"``.
        - ``response_format``: ``"auto"`` or an object, such as ``{"type": "json_object"}``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        given = with_definitions(parameters)
        return self._create(Assistant, self._request("POST", _ALL, given, AssistantParameters))

    def retrieve(
        self, assistant_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Assistant, HomeT]:
        """The assistant: a cold Observable. ``GET /assistants/{assistant_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ONE, assistant_id=assistant_id)
        return self._call(Assistant, self._request("GET", where, options))

    def update(
        self, assistant_id: str, **parameters: Unpack[AssistantUpdateParameters]
    ) -> LoopObservable[Assistant, HomeT]:
        """Change an assistant: a cold Observable of it. ``POST /assistants/{assistant_id}``.

        Keywords:

        - ``name``: the name, of at most 256 characters.
        - ``description``: the description, of at most 512 characters.
        - ``instructions``: the system instructions for the model: its role and its task.
        - ``tools``: the tools: functions, mappings or models. Functions are sent as definitions.
        - ``tool_resources``: the files and vector stores that the tools may use.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``temperature``: how random the answers are, from 0 to 2.
        - ``top_p``: the share of likely tokens that the model chooses from, from 0 to 1.
        - ``reasoning_effort``: how much a reasoning model thinks, such as ``"low"``.
        - ``response_format``: ``"auto"`` or an object, such as ``{"type": "json_object"}``.
        - ``model``: the name of the model.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ONE, assistant_id=assistant_id)
        given = with_definitions(parameters)
        request = self._request("POST", where, given, AssistantUpdateParameters)
        return self._call(Assistant, request)

    def list(self, **parameters: Unpack[ListParameters]) -> Listing[Assistant, HomeT]:
        """The assistants, newest first: a cold Observable of items. ``GET /assistants``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._list(Assistant, _ALL, parameters, ListParameters)

    def delete(
        self, assistant_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete an assistant: a cold Observable. ``DELETE /assistants/{assistant_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_ONE, assistant_id=assistant_id), options)
