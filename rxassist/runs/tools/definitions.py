"""The definitions of functions that a model receives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from rxassist.wire.values import Model


@frozen
class FunctionDefinition(Model):
    """A function of yours, described for the model; ``parameters`` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None


@frozen
class FunctionTool(Model):
    """A function of yours that the model may ask you to call."""

    function: FunctionDefinition
    type: Literal["function"] = "function"


__all__ = ["FunctionDefinition", "FunctionTool"]
