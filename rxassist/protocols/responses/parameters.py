"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire; tools may also be functions.
"""

# Evaluated at once (no ``from __future__ import annotations``): ``Required`` is read at runtime.

from collections.abc import Callable, Iterable
from typing import Any, Literal, Required, TypeAlias, TypedDict, TypeVar

from rxassist.protocols.responses.models import (
    CustomToolCall,
    FunctionCall,
    MCPApprovalRequest,
    OutputItem,
    ToolCall,
)
from rxassist.runs.operators.resets import OnReset
from rxassist.runs.streams.options import RunPollOptions, StreamOptions, ToolOptions
from rxassist.runs.streams.telling import EventHandler
from rxassist.runs.tools import Tool, Toolbox
from rxassist.wire.options import ListParameters, Metadata, Object, Objects, RequestOptions

HandlerT = TypeVar("HandlerT", bound=EventHandler[Any])
"""The handlers of a client."""

Approvable: TypeAlias = FunctionCall | CustomToolCall | MCPApprovalRequest
"""A call that may be approved: of a function of yours, or of a tool of an MCP server."""

Tools: TypeAlias = Iterable[Object | Tool[..., Any] | Callable[..., Any]]
"""Functions are sent as their definitions."""

Items: TypeAlias = Iterable[Object | OutputItem]
"""Mappings, or the items of an answer: they are sent as they came."""


class SharedParameters(RequestOptions, total=False):
    """What a response, and the count of its input tokens, have in common."""

    model: str | None
    """The name of the model."""
    input: str | Items | None
    """The text for the model, or a list of items: messages, outputs of calls."""
    instructions: str | None
    """The system instructions of this response; later responses do not take them over."""
    tools: Tools | Toolbox | None
    """The tools of this response: functions, or mappings. Functions are sent as definitions."""
    tool_choice: str | Object | None
    """``"auto"``, ``"none"``, ``"required"``, or the tool that the model must call."""
    parallel_tool_calls: bool | None
    """Whether the model may make several calls at once."""
    previous_response_id: str | None
    """The response that this one goes on with; not together with ``conversation``."""
    conversation: str | Object | None
    """The conversation, or its id, whose items come first, and that the answer is added to."""
    reasoning: Object | None
    """How a reasoning model thinks, such as ``{"effort": "low", "summary": "auto"}``."""
    text: Object | None
    """The form of the answer, such as ``{"format": {"type": "json_object"}}``."""
    truncation: str | None
    """``"auto"`` leaves out items of a long input, ``"disabled"`` refuses it."""


class InputTokenParameters(SharedParameters, total=False):
    """``POST /responses/input_tokens``."""

    personality: str | None
    """A style that the model has, such as ``"friendly"``."""


class ResponseParameters(SharedParameters, total=False):
    """``POST /responses``."""

    access_programs: Object | None
    """Programs of access to special domains that the request uses."""
    image: Object | None
    """Options for the images of the request."""
    prompt: Object | None
    """A stored prompt: a mapping with ``id``, ``version`` and ``variables``."""
    include: Iterable[str] | None
    """More fields to return, such as ``"reasoning.encrypted_content"``."""
    max_output_tokens: int | None
    """How many tokens the model may write, with what it thinks."""
    max_tool_calls: int | None
    """How many calls of tools the service may make."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""
    temperature: float | None
    """How random the answer is, from 0 to 2."""
    top_p: float | None
    """The share of likely tokens that the model chooses from, from 0 to 1."""
    top_logprobs: int | None
    """How many likely tokens are returned at each place, from 0 to 20."""
    store: bool | None
    """Whether the service keeps the response (``True``): else it cannot be read again."""
    background: bool | None
    """Whether the response goes on when nobody listens: then a lost stream is resumed."""
    background_options: Object | None
    """When a response in the background must be ready, such as ``{"completion_window": "2h"}``."""
    context_management: Objects | None
    """How a long context is made smaller, such as ``[{"type": "compaction"}]``."""
    moderation: Object | None
    """How input and output are moderated."""
    service_tier: str | None
    """How fast the service works, such as ``"flex"``."""
    safety_identifier: str | None
    """A text that tells your users apart, for the service's checks of abuse."""
    prompt_cache_key: str | None
    """A text that tells similar requests from others, for the service's cache."""
    prompt_cache_retention: str | None
    """How long the service's cache keeps a prompt, such as ``"24h"``."""
    prompt_cache_options: Object | None
    """More options of the service's cache."""
    stream_options: Object | None
    """Options of the stream, such as ``{"include_obfuscation": False}``."""
    user: str | None
    """The older name of ``safety_identifier``."""


class ResponseStartOptions(TypedDict, total=False):
    """How a response is started: ``if_busy`` is not sent.

    With ``text_format`` the answer is JSON that fits a class: an attrs class, a dataclass, a
    ``TypedDict``, a ``NamedTuple`` or a class of pydantic's. Its schema is sent as ``text``.

    If it is unknown whether a response was created, the call fails with ``RunOutcomeUnknown``, and
    does not request it again: the API has no list of responses to look for it in. A service that
    takes ids (Azure AI Foundry) can be asked: with ``response_id`` the response is found again.
    """

    if_busy: Literal["fail", "wait"]
    """What to do if another response works on the conversation: ``"fail"``, or ``"wait"``."""
    response_id: str
    """The id that the response is to have, on services that take one (Azure AI Foundry)."""
    text_format: Any
    """A class for the answer: it is sent as a schema, and ``Response.parse`` reads the answer."""


class ResponseStreamOptions(TypedDict, total=False):
    """How the stream of a response behaves on this side, besides ``StreamOptions``."""

    queue_patience: float
    """Seconds for which a response may stay queued after its stream was lost (600)."""
    on_reset: OnReset
    """What text does if the service begins a response anew: ``"raise"`` if it differs, ``"follow"``
    it."""


class RetrieveParameters(RequestOptions, total=False):
    """``GET /responses/{response_id}``."""

    include: Iterable[str]
    """More fields to return, such as ``"reasoning.encrypted_content"``."""


class ResumeParameters(RequestOptions, total=False):
    """``GET /responses/{response_id}?stream=true``."""

    include: Iterable[str]
    """More fields to return, such as ``"reasoning.encrypted_content"``."""
    include_obfuscation: bool
    """Whether deltas have a field of random length, against who measures them (``True``)."""


class InputItemsParameters(ListParameters, total=False):
    """``GET /responses/{response_id}/input_items``, and the items of a conversation."""

    include: Iterable[str]
    """More fields to return, such as the results of searches."""


class CompactParameters(RequestOptions, total=False):
    """``POST /responses/compact``."""

    model: Required[str | None]
    """The name of the model."""
    input: str | Items | None
    """The text for the model, or a list of items."""
    instructions: str | None
    """The system instructions that come before the input."""
    previous_response_id: str | None
    """The response whose context is made smaller."""
    image: Object | None
    """Options for the images of the request."""
    prompt_cache_key: str | None
    """A text that tells similar requests from others, for the service's cache."""
    prompt_cache_options: Object | None
    """More options of the service's cache."""
    prompt_cache_retention: str | None
    """How long the service's cache keeps a prompt, such as ``"24h"``."""
    service_tier: str | None
    """How fast the service works, such as ``"flex"``."""


class ConversationParameters(RequestOptions, total=False):
    """``POST /conversations``."""

    items: Items | None
    """The items that the conversation begins with, at most 20."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class ConversationUpdateParameters(RequestOptions, total=False):
    """``POST /conversations/{conversation_id}``."""

    metadata: Required[Metadata | None]
    """Up to 16 pairs of text, stored with the object."""


class ConversationItemsParameters(RequestOptions, total=False):
    """``POST /conversations/{conversation_id}/items``."""

    items: Required[Items]
    """The items to add, at most 20."""
    include: Iterable[str]
    """More fields to return, such as the results of searches."""


class ResponseCreateParameters(ResponseParameters, ResponseStartOptions, total=False):
    """``POST /responses``, and how the response is started."""


class ResponsePollParameters(
    ResponseCreateParameters, RunPollOptions, ToolOptions[Approvable, ToolCall], total=False
):
    """``POST /responses``, and then polls."""


class ResponseStreamParameters(
    ResponseCreateParameters,
    StreamOptions[HandlerT],
    ResponseStreamOptions,
    ToolOptions[Approvable, ToolCall],
    total=False,
):
    """``POST /responses``, as a stream."""


class ResumeStreamParameters(
    ResumeParameters,
    StreamOptions[HandlerT],
    ResponseStreamOptions,
    ToolOptions[Approvable, ToolCall],
    total=False,
):
    """``GET /responses/{response_id}?stream=true``, to the end of the response.

    The response has its tools already: no definition among ``tools`` is sent.
    """

    tools: Tools | Toolbox | None
    """The functions that are called when the response waits for them."""


__all__ = [
    "Approvable",
    "CompactParameters",
    "ConversationItemsParameters",
    "ConversationParameters",
    "ConversationUpdateParameters",
    "InputItemsParameters",
    "InputTokenParameters",
    "Items",
    "ResponseCreateParameters",
    "ResponseParameters",
    "ResponsePollParameters",
    "ResponseStartOptions",
    "ResponseStreamOptions",
    "ResponseStreamParameters",
    "ResumeParameters",
    "ResumeStreamParameters",
    "RetrieveParameters",
    "SharedParameters",
    "Tools",
]
