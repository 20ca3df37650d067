"""Text in whole lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rxassist.operators._kernel import Finish, Step, choose_each
from rxassist.typing import Operator

_LINE_END = re.compile(r"\r\n|\n|\r(?=.)", re.DOTALL)  # a CR at the end may be half of one


def lines() -> Operator[str, str]:
    r"""Emit each line of a growing text when it is whole, without its end.

    A line ends with ``\n``, ``\r\n`` or ``\r``. When the source completes, what has no end is the
    last line. Fails with its source.

    Where ``a`` is ``"A"``, ``b`` is ``"\n\nB\n"`` and ``c`` is ``"C"``, ``e`` the empty line, and
    the capitals are lines::

        source  -a-b----c-|
        result  ---(AeB)--(C|)
    """

    def begin() -> tuple[Step[str, str], Finish[str]]:
        growing: list[str] = []  # the pieces of the line that is not finished

        def step(piece: str) -> Iterator[str]:
            after_cr = bool(growing) and growing[-1].endswith("\r")
            if not after_cr and "\n" not in piece and "\r" not in piece:
                growing.append(piece)
                return
            *whole, rest = _LINE_END.split("".join([*growing, piece]))
            growing[:] = [rest]
            yield from whole

        def finish() -> Iterator[str]:
            rest = "".join(growing)
            if rest:
                yield rest.removesuffix("\r")

        return step, finish

    return choose_each(begin)
