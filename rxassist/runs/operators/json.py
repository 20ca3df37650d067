"""JSON as it grows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from rxassist.errors import DecodeError, excerpt
from rxassist.reactive.checks import needing
from rxassist.reactive.kernel import Finish, Step, choose_each
from rxassist.reactive.typing import Operator
from rxassist.runs.tools.values import fit_value
from rxassist.wire.json import from_json

_NAME = "json_snapshots"
_HALF_NUMBER = re.compile(rb"(?<=\d)(?:\.|[eE][+-]?)\Z")
_HEX = rb"[0-9a-fA-F]"
_LOW = rb"\\u[dD][c-fC-F]" + _HEX + _HEX
_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB]" + _HEX + _HEX + _LOW + rb")"
    rb"|(?P<lone>" + _LOW + rb"|\\u[dD][89abAB]" + _HEX + _HEX +
    rb"(?!(?:\\(?:u" + _HEX + rb"{0,3})?)?\Z))"  # its other half may still come
    rb"|\\.",
    re.DOTALL,
)  # fmt: skip


def _without_lone_surrogates(text: bytes) -> bytes:
    """Escaped halves of pairs, which the partial parser refuses, as U+FFFD."""
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], text)


def _partial_parser() -> Callable[[bytes], Any]:
    try:
        import jiter  # noqa: PLC0415 -- only json_snapshots needs it
    except ModuleNotFoundError:
        msg = needing("json_snapshots", "text", "jiter")
        raise ModuleNotFoundError(msg, name="jiter") from None

    def parse(text: bytes) -> Any:  # noqa: ANN401 -- JSON is anything
        try:
            return jiter.from_json(text, partial_mode="trailing-strings")
        except ValueError:
            known = _without_lone_surrogates(text)
            if known == text:
                raise
            return jiter.from_json(known, partial_mode="trailing-strings")

    return parse


def json_snapshots(type: Any = None) -> Operator[str, Any]:  # noqa: A002, ANN401 -- a type form
    r"""Emit the value of a growing JSON text, as far as it has come, each time it has changed.

    An unfinished text or number is emitted as far as it has come; a name without a value is left
    out, and so is the unfinished end of a number such as ``1.`` or ``2e``. Takes the pieces of a
    structured answer or of a function's arguments. Values differ if their JSON differs: ``1.0`` is
    another value than ``1``, and ``-0.0`` than ``0``.

    When the source completes, the last value is that of the whole text, as ``json.loads`` reads it:
    with a ``type`` (an attrs class, a dataclass, ``list[int]``, any type that a tool may take) it
    is converted to that, strictly, and always emitted. Half of a surrogate pair (``"\ud83d"``) is
    U+FFFD until then. A source without text emits nothing. Needs the extra ``rxassist[text]``; each
    value costs as much as reading the text so far. Sends ``DecodeError`` to ``on_error`` for a text
    that is no JSON or, at the end, does not fit the type; else fails with its source.

    Where ``a`` is ``'{"n": "x'``, ``b`` is ``'y'`` and ``c`` is ``'"}'``, ``A`` has ``"x"`` for
    ``n``, and ``B`` has ``"xy"``::

        source  -a-b-c-|
        result  -A-B---|
    """
    parse = _partial_parser()

    def begin() -> tuple[Step[str, Any], Finish[Any]]:
        growing = _GrowingJSON(parse, type)
        return growing.step, growing.finish

    return choose_each(begin)


class _GrowingJSON:
    """The text so far, and the value that was emitted last."""

    def __init__(self, parse: Callable[[bytes], Any], target: Any) -> None:  # noqa: ANN401
        self._parse = parse
        self._target = target
        self._text = bytearray()
        self._pieces: list[str] = []
        self._last: str | None = None  # as ``repr``: ``==`` takes 1.0 for 1, and no NaN for another

    def step(self, piece: str) -> Iterator[Any]:
        if not isinstance(piece, str):
            msg = (
                f"json_snapshots takes the pieces of a text, as text_deltas() emits them, got "
                f"{excerpt(piece)}"
            )
            raise TypeError(msg)
        self._pieces.append(piece)
        self._text += piece.encode(errors="replace")
        try:
            value = self._parse(self._readable())
        except ValueError as error:
            if str(error).startswith("EOF"):  # too short to be a value
                return
            raise DecodeError(_NAME, "$", "".join(self._pieces), f"JSON ({error})") from None
        yield from self._changed(value)

    def _readable(self) -> bytes:
        """The text so far, without the unfinished end of a number."""
        text = bytes(self._text)
        half = _HALF_NUMBER.search(text, max(0, len(text) - 3))
        if half is None:
            return text
        try:
            self._parse(text + b'"')
        except ValueError:
            return text[: half.start()]
        return text  # of a string, which the quotation mark ends

    def finish(self) -> Iterator[Any]:
        if not self._text:
            return
        value = from_json("".join(self._pieces), _NAME)
        if self._target is None:
            yield from self._changed(value)
        else:
            yield fit_value(value, self._target, _NAME)

    def _changed(self, value: Any) -> Iterator[Any]:  # noqa: ANN401 -- JSON is anything
        shown = repr(value)
        if shown != self._last:
            self._last = shown
            yield value
