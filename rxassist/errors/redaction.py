"""Errors and the log show no credential and no forged line.

This module knows the credentials in use, for the whole process: code that shows a text of a server
calls ``redacted``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import Any, cast
from weakref import WeakValueDictionary

HIDDEN = "***"
"""The text that replaces a credential."""

_READ = 4096  # characters after a cut: more than a key has
_FEWEST = 4  # characters of a secret that are left without its escapes
_SHORTEST = 8  # characters: a shorter key is a dummy such as ``EMPTY``, and is found inside words


def _escaped(char: str) -> str:
    """A pattern for a character, also as JSON and URLs escape it, once or several times."""
    code = f"{ord(char):02x}"
    return f"(?:{char}|u00{code}|%(?:25)*{code})"  # backslashes come before it


_AUTHORITY = re.compile(
    _escaped("/") + r"\\*" + _escaped("/") + r"((?:[^\s/?#\"<>\\]|\\+[^/\s\\])+)", re.IGNORECASE
)
_AT = re.compile(_escaped("@"), re.IGNORECASE)
_ESCAPE = re.compile(r"%(?:25)*([0-9a-f]{2})|\\+(?:u00|x)([0-9a-f]{2})|\\+", re.IGNORECASE)
_BACKSLASH = "\\"
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Secrets:
    """Credentials that are never shown, as long as this object lives and remembers them.

    ``most`` is how many it remembers: the last ones.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[tuple[str, ...]] = deque(maxlen=most)
        _all[id(self)] = self

    def add(self, secret: str) -> None:
        """Never show this secret from now on, unless it is shorter than eight characters."""
        readings = _plain(secret), secret.replace(_BACKSLASH, "").translate(_LOWER)
        told_apart = all(len(reading) >= _FEWEST for reading in readings)
        if len(secret) >= _SHORTEST and told_apart and readings not in self._kept:
            self._kept.append(readings)

    @property
    def kept(self) -> tuple[str, ...]:
        """The secrets as ``_plain`` reads them, also with ``%41`` in one taken literally."""
        return tuple(reading for readings in tuple(self._kept) for reading in readings)


_all: WeakValueDictionary[int, Secrets] = WeakValueDictionary()


def redacted(text: str) -> str:
    """A text with ``***`` instead of credentials, also if they are escaped or cut.

    Credentials are the known secrets, and the user and password of any URL.
    """
    text = _AUTHORITY.sub(_without_user, text)
    plain = _plain(text)
    found = sorted(span for secret in _secrets() for span in _spans(secret, plain))
    return _hiding(text, found) if found else text


def beginning(text: str, length: int) -> str:
    """The beginning of a text, redacted before it is cut, so that no key is cut as well."""
    return redacted(text[: length + _READ])[:length]


def redacted_data(value: Any) -> Any:  # noqa: ANN401 -- JSON is anything
    """JSON, parsed or not, with ``***`` instead of credentials."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, bytes):
        return redacted(value.decode("latin-1")).encode("latin-1")
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        return type(items)(redacted_data(item) for item in items)
    if isinstance(value, dict):
        fields = cast("dict[object, object]", value)
        return {redacted_data(key): redacted_data(item) for key, item in fields.items()}
    return value


def holds_secret(text: str) -> bool:
    """Whether a text holds the whole of a secret."""
    plain = _plain(text)
    return any(secret in plain for secret in _secrets())


def printable(text: str) -> str:
    """A text as one line, with escapes instead of line ends and of signs that move a cursor."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _secrets() -> Iterator[str]:
    for known in _all.valuerefs():
        secrets = known()
        if secrets is not None:
            yield from secrets.kept


def _plain(text: str) -> str:
    """A text without escapes and capitals: equal for a secret and its escaped forms."""
    return _ESCAPE.sub(_unescaped, text).translate(_LOWER)


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    char = chr(int(code, 16)) if code else _BACKSLASH
    return "" if char == _BACKSLASH else char  # it escapes what follows


def _without_user(authority: re.Match[str]) -> str:
    ends = [at.start() for at in _AT.finditer(authority[1])]
    start = authority.start(1) - authority.start()
    return authority[0] if not ends else authority[0][:start] + HIDDEN + authority[1][ends[-1] :]


def _spans(secret: str, plain: str) -> Iterator[tuple[int, int]]:
    """The spans of a secret in a text, or of its beginning if it was cut."""
    start = plain.find(secret[:_SHORTEST])
    while start >= 0:
        length = _common(secret, plain[start : start + len(secret)])
        end = start + length
        if length == len(secret) or not plain[end : end + 1].isalnum():
            yield start, end
            start = end - 1
        start = plain.find(secret[:_SHORTEST], start + 1)


def _common(one: str, other: str) -> int:
    """The number of characters that two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _hiding(text: str, found: list[tuple[int, int]]) -> str:
    """A text with some spans of its plain form hidden."""
    plain_starts, starts = [0], [0]  # of the pieces between escapes
    for escape in _ESCAPE.finditer(text):
        at = plain_starts[-1] + escape.start() - starts[-1]
        plain_starts += [at, at + len(_unescaped(escape))]
        starts += [escape.start(), escape.end()]

    def original(position: int) -> int:
        piece = bisect_right(plain_starts, position) - 1
        return starts[piece] + position - plain_starts[piece]

    shown, shown_to = "", -1
    for start, end in found:
        if start > shown_to:
            shown += text[original(max(shown_to, 0)) : original(start)] + HIDDEN
        shown_to = max(shown_to, end)
    return shown + text[original(shown_to) :]


__all__ = [
    "HIDDEN",
    "Secrets",
    "beginning",
    "holds_secret",
    "printable",
    "redacted",
    "redacted_data",
]
