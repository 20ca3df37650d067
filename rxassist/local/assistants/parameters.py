"""The values that the parameters of assistants, threads, messages and runs can have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rxassist.local.server.limits import Check, items_of, short_list, text_within, type_of, within
from rxassist.local.server.plain import as_object
from rxassist.local.server.problems import invalid_type, missing, no_match

_MOST_ATTACHMENTS = 10
_LONGEST_CONTENT = 256_000
_MOST_CODE_FILES, _MOST_STORES = 20, 1
_MOST_SEARCH_RESULTS = 50

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOLS = ("code_interpreter", "file_search", "function", "mcp")  # the last one in Foundry
_ATTACHMENT_TOOLS = ("code_interpreter", "file_search")
_CONTENT = ("text", "image_file", "image_url")


def tools(most: int) -> Check:
    """Accept a list of tools of known types."""

    def check(value: object, param: str) -> None:
        for path, tool in items_of(value, param, most):
            kind = type_of(tool, path, *_TOOLS)
            described = as_object(tool.get(kind)) or {}
            if kind == "function":
                _function(described, f"{path}.function")
            elif kind == "file_search":
                results = described.get("max_num_results")
                if isinstance(results, int):
                    within(results, f"{path}.max_num_results", 1, _MOST_SEARCH_RESULTS)

    return check


def tool_resources(value: object, param: str) -> None:
    """Accept a few files for the code interpreter, and a vector store to search in."""
    given = as_object(value) or {}
    for tool, name, most in (
        ("code_interpreter", "file_ids", _MOST_CODE_FILES),
        ("file_search", "vector_store_ids", _MOST_STORES),
        ("file_search", "vector_stores", _MOST_STORES),
    ):
        short_list(most)((as_object(given.get(tool)) or {}).get(name), f"{param}.{tool}.{name}")


def attachments(value: object, param: str) -> None:
    """Accept a few files, each with the tools that may read it."""
    for path, attachment in items_of(value, param, _MOST_ATTACHMENTS):
        for name in ("file_id", "tools"):
            if attachment.get(name) is None:
                raise missing(param=f"{path}.{name}")
        for tool_path, tool in items_of(attachment["tools"], f"{path}.tools"):
            type_of(tool, tool_path, *_ATTACHMENT_TOOLS)


def content(value: object, param: str) -> None:
    """Accept a text, or parts of known types that have the field of their type."""
    text_within(_LONGEST_CONTENT)(value, param)
    for path, part in items_of(value, param):
        kind = type_of(part, path, *_CONTENT)
        if part.get(kind) is None:
            raise missing(param=f"{path}.{kind}")
        if kind == "text" and not isinstance(part["text"], str):
            raise invalid_type(part["text"], f"{path}.text", "a string")


def _function(described: Mapping[str, Any], path: str) -> None:
    name = described.get("name")
    if name is None:
        raise missing(param=f"{path}.name")
    if isinstance(name, str) and not _FUNCTION_NAME.fullmatch(name):
        raise no_match(name, f"{path}.name", f"^{_FUNCTION_NAME.pattern}$")


__all__ = ["attachments", "content", "tool_resources", "tools"]
