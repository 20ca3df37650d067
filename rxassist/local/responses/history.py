"""The items before a request: of the responses before it, or of its conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from rxassist.local.responses.input import Item, text_of
from rxassist.local.responses.stored import Conversation, ConversationItem, InputItem
from rxassist.local.responses.writing import plain_item
from rxassist.local.scripts.moves import Approval
from rxassist.local.scripts.turn import Output
from rxassist.local.server.parsing import Body
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import Problem, invalid_type, missing
from rxassist.local.server.store import Store
from rxassist.protocols.responses.models import Response
from rxassist.wire.json import from_json
from rxassist.wire.structure import unstructure

_CALLS = {"function_call": "function call", "custom_tool_call": "custom tool call"}


@frozen
class Said:
    """A message of an input or an output; ``item`` is all of it, as plain data."""

    role: str
    text: str
    item: Item


class History:
    """Finds the items before a request in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def before(self, body: Body) -> tuple[list[Item], str | None]:
        """The items before the input of a request, and the id of its conversation.

        Raises ``Problem`` if there is no such response or conversation.
        """
        previous_id, conversation_id = body.get("previous_response_id"), _conversation_id(body)
        if previous_id is not None and conversation_id is not None:
            msg = (
                "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure"
                " you are only providing one of them."
            )
            raise Problem(msg, code="mutually_exclusive_parameters")
        if conversation_id is not None:
            return self._conversation(conversation_id), conversation_id
        if previous_id is None:
            return [], None
        if not isinstance(previous_id, str):
            raise invalid_type(previous_id, "previous_response_id", "a string")
        return self._chain(previous_id), None

    def resolved(self, items: Sequence[Item]) -> list[Item]:
        """The same items, with those that an item only refers to.

        Raises ``Problem`` if there is no such item.
        """
        return [
            self._referred(str(item["id"])) if item["type"] == "item_reference" else item
            for item in items
        ]

    def _referred(self, item_id: str) -> Item:
        given = self._store.find_anywhere(InputItem, item_id)
        if given is not None:
            return given.item
        written = self._store.find_member(Response, "output", item_id)
        if written is None:
            msg = (
                f"Item with id '{item_id}' not found. Items are not persisted when `store` is set"
                " to false."
            )
            raise Problem(msg, status=404, param="input")
        return plain_item(from_json(written))

    def _conversation(self, conversation_id: str) -> list[Item]:
        if self._store.find(Conversation, conversation_id) is None:
            msg = f"Conversation with id '{conversation_id}' not found."
            raise Problem(msg, status=404, param="conversation")
        return [each.item for each in self._store.children(ConversationItem, conversation_id)]

    def _chain(self, last_id: str) -> list[Item]:
        """The items of a response and of all before it."""
        legs: list[list[Item]] = []
        previous_id: str | None = last_id
        while previous_id is not None:
            response = self._store.find(Response, previous_id)
            if response is None and previous_id == last_id:
                msg = f"Previous response with id '{last_id}' not found."
                code = "previous_response_not_found"
                raise Problem(msg, param="previous_response_id", code=code)
            if response is None:
                break  # it was deleted meanwhile
            given = [each.item for each in self._store.children(InputItem, response.id)]
            legs.append([*given, *map(plain_item, unstructure(response.output))])
            previous_id = response.previous_response_id
            if response.conversation is not None:
                conversation_id = str(response.conversation["id"])
                legs[-1] = [
                    each.item for each in self._store.children(ConversationItem, conversation_id)
                ]
        return [item for leg in reversed(legs) for item in leg]


def _conversation_id(body: Body) -> str | None:
    given = body.get("conversation")
    described = as_object(given)
    if described is not None:
        if described.get("id") is None:
            raise missing(param="conversation.id")
        given = described["id"]
    if given is not None and not isinstance(given, str):
        raise invalid_type(given, "conversation", "a string or an object")
    return given


def check_outputs(items: Sequence[Item]) -> None:
    """Raise ``Problem`` if a call has no output, or an output no call."""
    outputs = {item.get("call_id") for item in items if _is_output(item)}
    calls = {item.get("call_id"): item["type"] for item in items if item["type"] in _CALLS}
    for call_id, kind in calls.items():
        if call_id not in outputs:
            msg = f"No tool output found for {_CALLS[kind]} {call_id}."
            raise Problem(msg, param="input")
    for item in items:
        kind = item["type"].removesuffix("_output")
        if kind in _CALLS and _is_output(item) and item["call_id"] not in calls:
            call_id = item["call_id"]
            msg = f"No tool call found for {_CALLS[kind]} output with call_id {call_id}."
            raise Problem(msg, param="input")


def _is_output(item: Item) -> bool:
    return str(item["type"]).endswith("_output")


def answers_in(given: Sequence[Item]) -> dict[str, str | Approval]:
    """The answers in an input, by the ids of their calls.

    Answers before a message of the model are only history, and left out.
    """
    answers: dict[str, str | Approval] = {}
    for item in given:
        if item["type"] == "message" and item["role"] == "assistant":
            answers.clear()
        elif item["type"] == "mcp_approval_response":
            answers[item["approval_request_id"]] = Approval(item["approve"])
        elif _is_output(item) and isinstance(item.get("call_id"), str):
            answers[item["call_id"]] = text_of(item)
    return answers


def outputs_in(items: Iterable[Item], answers: dict[str, str | Approval]) -> tuple[Output, ...]:
    """The outputs among answers, with the names of their calls."""
    names = {item.get("call_id"): item["name"] for item in items if item["type"] in _CALLS}
    return tuple(
        Output(call_id, answer, names.get(call_id, ""))
        for call_id, answer in answers.items()
        if isinstance(answer, str)
    )


def messages_in(items: Iterable[Item]) -> tuple[Said, ...]:
    """The messages of a history."""
    return tuple(
        Said(str(item.get("role")), text_of(item), item)
        for item in items
        if item["type"] == "message"
    )


def texts_in(items: Iterable[Any]) -> Iterable[str]:
    """All texts of a history, to count their tokens."""
    return (text_of(item) or str(item.get("arguments") or "") for item in items)


__all__ = [
    "History",
    "Said",
    "answers_in",
    "check_outputs",
    "messages_in",
    "outputs_in",
    "texts_in",
]
