"""The log of the package: one record is one line, even with text of a server."""

from __future__ import annotations

import logging
import os

from rxassist.errors.redaction import beginning, printable

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LONGEST = 500  # characters of one argument


class _OneLine(logging.Filter):
    """Shows each argument of a record on one line, without credentials, and not at any length.

    The template stays, so that services which collect logs still find the records that are alike.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's arguments; it is always logged."""
        if isinstance(record.args, tuple):
            record.args = tuple(_shown(arg) for arg in record.args)
        return True


def _shown(argument: object) -> object:
    if isinstance(argument, int | float):
        return argument
    text = str(argument)
    shown = printable(beginning(text, _LONGEST))
    return shown if len(text) <= _LONGEST else f"{shown}… ({len(text)} characters)"


logger: logging.Logger = logging.getLogger("rxassist")
"""The logger of every module of the package."""

logger.addFilter(_OneLine())


def _show_what_the_environment_wants() -> None:
    """With ``RXASSIST_LOG=debug`` in the environment, write the log to the standard error."""
    wanted = os.environ.get("RXASSIST_LOG", "").strip().upper()
    if not wanted:
        return
    if wanted in _LEVELS:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(wanted)
    else:
        logger.warning("RXASSIST_LOG must be one of %s, got %s", ", ".join(_LEVELS).lower(), wanted)


_show_what_the_environment_wants()

__all__ = ["logger"]
