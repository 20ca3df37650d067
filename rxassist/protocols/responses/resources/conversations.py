"""``client.conversations``: API reference, Conversations."""

from __future__ import annotations

from typing import Any, Unpack

from rxassist.protocols.responses.models import Conversation, OutputItem
from rxassist.protocols.responses.parameters import (
    ConversationItemsParameters,
    ConversationParameters,
    ConversationUpdateParameters,
    InputItemsParameters,
    RetrieveParameters,
)
from rxassist.reactive.loop import HomeT
from rxassist.reactive.observable import LoopObservable
from rxassist.wire.arguments import path
from rxassist.wire.calls import Connection, Listing, Resource
from rxassist.wire.options import RequestOptions
from rxassist.wire.values import Deleted, Page

_CONVERSATIONS = "/conversations"
_CONVERSATION = _CONVERSATIONS + "/{conversation_id}"
_ITEMS = _CONVERSATION + "/items"
_ITEM_OF = _ITEMS + "/{item_id}"

_ITEM: Any = OutputItem


class ConversationItems(Resource[HomeT]):
    """The items of a conversation."""

    def create(
        self, conversation_id: str, **parameters: Unpack[ConversationItemsParameters]
    ) -> LoopObservable[Page[OutputItem], HomeT]:
        """Add items, once: an Observable of the list of them. ``POST …/items``.

        Keywords:

        - ``items``, required: the items to add, at most 20.
        - ``include``: more fields to return, such as the results of searches.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ITEMS, conversation_id=conversation_id)
        page: Any = Page[_ITEM]
        request = self._request(
            "POST", where, parameters, ConversationItemsParameters, careful=True
        )
        return self._create(page, request)

    def retrieve(
        self, item_id: str, *, conversation_id: str, **parameters: Unpack[RetrieveParameters]
    ) -> LoopObservable[OutputItem, HomeT]:
        """The item: a cold Observable. ``GET …/items/{item_id}``.

        Keywords:

        - ``include``: more fields to return, such as ``"reasoning.encrypted_content"``.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ITEM_OF, conversation_id=conversation_id, item_id=item_id)
        return self._call(_ITEM, self._request("GET", where, parameters, RetrieveParameters))

    def list(
        self, conversation_id: str, **parameters: Unpack[InputItemsParameters]
    ) -> Listing[OutputItem, HomeT]:
        """The items, newest first: a cold Observable of items. ``GET …/items``.

        Keywords:

        - ``limit``: how many items one page has, from 1 to 100.
        - ``order``: ``"asc"`` gives the oldest items first, ``"desc"`` the newest.
        - ``after``: the id of an item: the list begins after it.
        - ``before``: the id of an item: the list ends before it.
        - ``include``: more fields to return, such as the results of searches.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ITEMS, conversation_id=conversation_id)
        return self._list(_ITEM, where, parameters, InputItemsParameters)

    def delete(
        self, item_id: str, *, conversation_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Conversation, HomeT]:
        """Delete an item: a cold Observable of the conversation. ``DELETE …/items/{item_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_ITEM_OF, conversation_id=conversation_id, item_id=item_id)
        return self._call(Conversation, self._request("DELETE", where, options))


class Conversations(Resource[HomeT]):
    """Conversations: items that the service keeps, for one response after the other."""

    items: ConversationItems[HomeT]

    def __init__(self, connection: Connection[HomeT]) -> None:
        super().__init__(connection)
        self.items = ConversationItems(connection)

    def create(
        self, **parameters: Unpack[ConversationParameters]
    ) -> LoopObservable[Conversation, HomeT]:
        """Create a conversation, once: an Observable of it. ``POST /conversations``.

        Keywords:

        - ``items``: the items that the conversation begins with, at most 20.
        - ``metadata``: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        request = self._request("POST", _CONVERSATIONS, parameters, ConversationParameters)
        return self._create(Conversation, request)

    def retrieve(
        self, conversation_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Conversation, HomeT]:
        """The conversation: a cold Observable. ``GET /conversations/{conversation_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_CONVERSATION, conversation_id=conversation_id)
        return self._call(Conversation, self._request("GET", where, options))

    def update(
        self, conversation_id: str, **parameters: Unpack[ConversationUpdateParameters]
    ) -> LoopObservable[Conversation, HomeT]:
        """Change the metadata of a conversation: a cold Observable of it.

        ``POST /conversations/{conversation_id}``.

        Keywords:

        - ``metadata``, required: up to 16 pairs of text, stored with the object.
        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        where = path(_CONVERSATION, conversation_id=conversation_id)
        request = self._request("POST", where, parameters, ConversationUpdateParameters)
        return self._call(Conversation, request)

    def delete(
        self, conversation_id: str, **options: Unpack[RequestOptions]
    ) -> LoopObservable[Deleted, HomeT]:
        """Delete a conversation, but not its items: a cold Observable.

        ``DELETE /conversations/{conversation_id}``.

        Keywords:

        - ``extra_headers``, ``extra_query``, ``extra_body``, ``timeout``, ``max_retries``,
          ``on_response``: of its requests, see ``RequestOptions``.
        """
        return self._delete(path(_CONVERSATION, conversation_id=conversation_id), options)
