"""Text in whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rxassist.reactive.typing import Operator
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.text import split_each

_LINE_END = re.compile(r"\r\n|\n|\r(?=.)", re.DOTALL)  # a CR at the end may be half of one


def lines() -> Operator[AnyEvent | str, str]:
    r"""Emit each line of a growing text when it is whole, without its end.

    Takes text, or the events of a run. A line ends with ``\n``, ``\r\n`` or ``\r``, and over events
    with its message, or when an image or another part of the message begins. When the source
    completes, the rest is the last line. Fails with its source.

    Where ``a`` is ``"A"``, ``b`` is ``"\n\nB\n"`` and ``c`` is ``"C"``, ``e`` the empty line, and
    the capitals are lines::

        source  -a-b----c-|
        result  ---(AeB)--(C|)
    """
    return split_each(_Lines)


class _Lines:
    """The pieces of the line that is not finished."""

    def __init__(self) -> None:
        self._growing: list[str] = []

    def feed(self, piece: str) -> Iterator[str]:
        growing = self._growing
        after_cr = bool(growing) and growing[-1].endswith("\r")
        if not after_cr and "\n" not in piece and "\r" not in piece:
            growing.append(piece)
            return
        *whole, rest = _LINE_END.split("".join([*growing, piece]))
        growing[:] = [rest]
        yield from whole

    def finish(self) -> Iterator[str]:
        rest = "".join(self._growing)
        if rest:
            yield rest.removesuffix("\r")
