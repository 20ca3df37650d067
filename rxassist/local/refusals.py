"""Faults on demand: answers with which a service turns requests away before it looks at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import field, frozen


@frozen
class Refusal:
    """An answer such as ``Refusal(429, {"retry-after": "1"})``, with a body that fits."""

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])


Refuse: TypeAlias = Callable[[str, str, int], Refusal | None]
"""Says which requests are refused: method, path, and how often both have come, this time included.

``lambda method, path, attempt: Refusal(503) if attempt == 1 else None`` lets nothing work at once.
What is refused has no effect. It runs on the service's only thread.
"""

__all__ = ["Refusal", "Refuse"]
