"""Rounds of tools: each is a new response, with the outputs of the one before as its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

from attrs import evolve

from rxassist.errors import RxAssistError
from rxassist.protocols.responses.models import (
    CustomToolCall,
    FunctionCall,
    MCPApprovalRequest,
    OutputItem,
    Response,
    ToolCall,
)
from rxassist.runs.tools import Toolbox
from rxassist.runs.tools.calls import Awaited, AwaitedCall, Reply, is_approved
from rxassist.runs.tools.tool import with_definitions
from rxassist.wire.structure import to_request
from rxassist.wire.transport import Request

OWN_ID = "x-agent-response-id"
"""The header of the id that a response is to have, on services that take one."""

Outputs: TypeAlias = Sequence[Mapping[str, Any]]
"""The items that answer the calls of a response."""

_REPEATED = (
    *("background", "conversation", "instructions", "max_output_tokens", "max_tool_calls"),
    *("metadata", "model", "parallel_tool_calls", "prompt_cache_key", "reasoning"),
    *("safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice"),
    *("tools", "top_logprobs", "top_p", "truncation", "user"),
)
_THOUGHTS = "reasoning.encrypted_content"


class Chain:
    """The requests for the responses of one run: the first one, and one for each round of tools."""

    def __init__(self, request: Request) -> None:
        self._request = request
        given: Any = (request.body or {}).get("input")
        is_text = isinstance(given, str)
        # that of all rounds, where the service keeps nothing
        self._input: list[Any] = [{"role": "user", "content": given}] if is_text else given or []

    def first(self) -> Request:
        """The request for the first response.

        A service that keeps nothing gives what the model thought, so that it can be sent back.
        """
        body = dict(self._request.body or {})
        if body.get("store") is False and body.get("tools"):
            include: list[str] = list(body.get("include") or ())
            body["include"] = [*include, *({_THOUGHTS} - set(include))]
        return evolve(self._request, body=body)

    def after(self, run: Response, outputs: Outputs) -> Request:
        """The request for the response after another one, whose calls have these outputs.

        Everything is asked for again as the first time, since a response takes nothing over from
        the one before but its items; only a tool that the model had to call is not forced again.
        """
        body = dict(self.first().body or {})
        if _is_forced(body.get("tool_choice")):
            body["tool_choice"] = "auto"
        if body.get("store") is False:
            self._input = [*self._input, *map(_sent_back, run.output), *outputs]
            body["input"] = self._input
        else:
            body["input"] = list(outputs)
            if body.get("conversation") is None:
                body["previous_response_id"] = run.id
        headers = {key: value for key, value in self._request.headers.items() if key != OWN_ID}
        return evolve(self._request, body=body, headers=headers)


def repeated(run: Response) -> Mapping[str, Any]:
    """The parameters of the request for a response, as the response repeats them, without input.

    Raises ``RxAssistError`` if the service does not keep the response: the next one needs its
    input.
    """
    if run.store is False:
        msg = (
            f"response {run.id} was created with store=False, so only the program that created it "
            "can go on with the outputs of its tools"
        )
        raise RxAssistError(msg)
    known: dict[str, Any] = {name: getattr(run, name) for name in _REPEATED}
    return {name: to_request(value) for name, value in known.items() if value is not None}


def _is_forced(choice: object) -> bool:
    """Whether the model must call a tool: again and again, if that were asked for each time."""
    if not isinstance(choice, Mapping):
        return choice == "required"
    given = cast("Mapping[str, object]", choice)
    return given.get("type") != "allowed_tools" or given.get("mode") == "required"


def _sent_back(item: OutputItem) -> Any:  # noqa: ANN401 -- JSON is anything
    """An item of an output as a part of an input."""
    return to_request(item)


def waits_for(run: Response, *, toolbox: Toolbox) -> Awaited[Outputs] | None:
    """The calls that a response waits for; ``None`` unless all are calls that can be answered.

    A response that only waits for functions of others is not for this toolbox.
    """
    awaited = [_awaited(run, call) for call in run.required_calls]
    known = {tool.name for tool in toolbox}
    is_ours = any(each is not None and _is_ours(each, known) for each in awaited)
    calls = [each for each in awaited if each is not None]
    return Awaited(calls, list) if is_ours and len(calls) == len(awaited) else None


def _is_ours(asked: AwaitedCall, known: set[str]) -> bool:
    return asked.bind is None or asked.name in known


def _awaited(run: Response, call: ToolCall) -> AwaitedCall | None:
    """A call, and how it is answered; ``None`` for one of a kind that no function answers."""
    if isinstance(call, MCPApprovalRequest):
        return AwaitedCall(call, call.name, partial(_decided, call.id))
    if isinstance(call, FunctionCall):
        kind, given = "function_call_output", call.arguments
    elif isinstance(call, CustomToolCall):
        kind, given = "custom_tool_call_output", call.input
    else:
        return None

    def reply(output: str) -> Reply:
        return {"type": kind, "call_id": call.call_id, "output": output}

    def bind(toolbox: Toolbox) -> Callable[[], object]:
        if isinstance(call, CustomToolCall):
            return toolbox.bind_text(call.name, given)
        return toolbox.bind(call.name, given)

    return AwaitedCall(call, call.name, reply, bind, (run.id, call.call_id), call.call_id)


def _decided(request_id: str, decision: object) -> Reply:
    approved = is_approved(decision)
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": request_id,
        "approve": approved,
    }
    if isinstance(decision, Mapping):
        return {**cast("Mapping[str, Any]", decision), **answer}
    return {**answer, "reason": decision} if isinstance(decision, str) and decision else answer


def flat_definitions(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call, with definitions of tools as this protocol has them.

    Functions become definitions, and definitions of functions lose their inner object, which only
    the Assistants protocol has. ``strict`` is always said, because it is true by default here. A
    function with the name of a custom tool is called for that, and has no definition of its own.
    """
    asked = with_definitions(asked)
    tools: list[object] | None = asked.get("tools")
    if not isinstance(tools, list):
        return asked
    defined: list[Any] = [_flat(to_request(tool)) for tool in tools]
    custom = {_said(tool, "name") for tool in defined if _said(tool, "type") == "custom"}
    sent = [tool for tool in defined if _said(tool, "type") == "custom" or not _is_in(custom, tool)]
    return {**asked, "tools": sent}


def _is_in(custom: set[object], tool: object) -> bool:
    return _said(tool, "name") in custom - {None}


def _said(tool: object, name: str) -> object:
    return cast("Mapping[str, object]", tool).get(name) if isinstance(tool, Mapping) else None


def _flat(tool: object) -> object:
    function = _said(tool, "function")
    if not isinstance(function, Mapping):
        return tool
    defined = cast("Mapping[str, object]", function)
    return {"type": "function", **defined, "strict": bool(defined.get("strict"))}


__all__ = ["OWN_ID", "Chain", "Outputs", "flat_definitions", "repeated", "waits_for"]
