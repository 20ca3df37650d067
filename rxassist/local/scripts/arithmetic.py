"""Arithmetic in a message, computed without executing code."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

_EXPRESSION = re.compile(r"[-(]*\d[\d\s.()+\-*/%^]*")
_LARGEST_EXPONENT = 64
_LARGEST_BASE = 10**6

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda first, second: first / second,
    ast.FloorDiv: lambda first, second: first // second,
    ast.Mod: operator.mod,
    ast.Pow: lambda first, second: first**second,
}


def expression_in(message: str) -> str | None:
    """The first arithmetic expression in a text that has a value, as Python would write it."""
    for match in _EXPRESSION.finditer(message):
        expression = match.group().strip(" .\n").replace("^", "**")
        if value_of(expression) is not None:
            return expression
    return None


def value_of(expression: str) -> float | None:
    """The value of an expression of numbers; ``None`` without one, and for other expressions."""
    try:
        body = ast.parse(expression, mode="eval").body
        return _value(body) if isinstance(body, ast.BinOp) else None
    except (SyntaxError, ArithmeticError, ValueError, RecursionError):
        return None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _value(left), _value(right)
            large = abs(first) > _LARGEST_BASE or abs(second) > _LARGEST_EXPONENT
            if isinstance(op, ast.Pow) and (large or (first < 0 and second % 1)):
                msg = "a power that is too large, or no real number"
                raise ValueError(msg)
            return _OPERATORS[type(op)](first, second)
        case _:
            msg = "no arithmetic"
            raise ValueError(msg)


__all__ = ["expression_in", "value_of"]
