"""Durations in seconds, checked at the call that passes them."""

from __future__ import annotations

import math


def check_duration(name: str, seconds: float) -> None:
    """Raise ``ValueError`` unless an event loop can wait for so long."""
    if not math.isfinite(seconds):
        msg = f"{name} must be finite, got {seconds}"
        raise ValueError(msg)
    if seconds < 0:
        msg = f"{name} must not be negative, got {seconds}"
        raise ValueError(msg)


__all__ = ["check_duration"]
