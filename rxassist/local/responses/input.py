"""The input of a request: items of known types, as the service stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxassist.local.server.identity import new_id
from rxassist.local.server.limits import items_of, type_of
from rxassist.local.server.parsing import Body, flag
from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import invalid_type, invalid_value, missing

Item = Mapping[str, Any]
"""An item, as plain data."""

_ROLES = ("user", "assistant", "system", "developer")
_PARTS = ("input_text", "input_image", "input_file", "input_audio", "output_text", "refusal")

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "file_search_call": "fs",
    "web_search_call": "ws",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "mcp_call": "mcp",
    "compaction": "cmp",
    "item_reference": "ref",
}
"""How the ids of items begin, by the types that are known."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "mcp_approval_response": ("approval_request_id", "approve"),
    "item_reference": ("id",),
}
_TEXTS = ("id", "call_id", "approval_request_id", "name", "status")
_TEXT_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def input_of(given: object, param: str = "input") -> list[Item]:
    """The items of an input, which may be just a text."""
    if given is None:
        return []
    if isinstance(given, str):
        return [_message({"role": "user", "content": given}, param)]
    if as_list(given) is None:
        raise invalid_type(given, param, "one of a text string or a list of items")
    return [_item(item, path) for path, item in items_of(given, param)]


def _item(given: Body, path: str) -> Item:
    item = {name: value for name, value in given.items() if value is not None}
    if "type" not in item and "role" in item:
        item["type"] = "message"
    kind = type_of(item, path, *_PREFIXES)
    for name in _NEEDED.get(kind, ()):
        if name not in item:
            raise missing(param=f"{path}.{name}")
    for name in _TEXTS:
        _check_text(item, name, path)
    if kind == "message":
        return _message(item, path)
    if kind in _TEXT_OUTPUTS and as_list(item["output"]) is None:
        _check_text(item, "output", path)
    flag(item, "approve")
    own = {"id": new_id(_PREFIXES[kind])}
    if kind.endswith(("_call", "_output")):
        own["status"] = "completed"
    return {**own, **item}


def _check_text(item: Item, name: str, path: str) -> None:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid_type(value, f"{path}.{name}", "a string")


def _message(given: Body, path: str) -> Item:
    role, content = given["role"], given["content"]
    if role not in _ROLES:
        raise invalid_value(role, f"{path}.role", *_ROLES)
    if isinstance(content, str):
        kind = "output_text" if role == "assistant" else "input_text"
        content = [{"type": kind, "text": content}]
    elif as_list(content) is None:
        raise invalid_type(content, f"{path}.content", "a string or an array of objects")
    for part_path, part in items_of(content, f"{path}.content"):
        if type_of(part, part_path, *_PARTS).endswith("_text"):
            if part.get("text") is None:
                raise missing(param=f"{part_path}.text")
            _check_text(part, "text", part_path)
    own = {"type": "message", "status": "completed", **given}
    return {"id": new_id("msg"), **own, "content": content}


def text_of(item: Item) -> str:
    """The text of an item: of a message, or of an output."""
    content = item.get("content", item.get("output"))
    if isinstance(content, str):
        return content
    parts = map(as_object, as_list(content) or ())
    return "".join(str(part.get("text") or "") for part in parts if part is not None)


__all__ = ["Item", "input_of", "text_of"]
