"""Ids and times, in the formats of the service."""

from __future__ import annotations

import secrets
import string
import time

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 24


def new_id(prefix: str, separator: str = "_") -> str:
    """A fresh id such as ``run_`` and 24 letters and digits."""
    return f"{prefix}{separator}{''.join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))}"


def now() -> int:
    """The current time in whole seconds since 1970."""
    return int(time.time())


__all__ = ["new_id", "now"]
