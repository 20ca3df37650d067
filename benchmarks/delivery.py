"""What was delivered, so that both sides can be compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Delivered = dict[str, Any]
"""What a reader got: plain data."""


def checksum(delivered: object) -> str:
    """A short text that is the same for both sides if they delivered the same plain data."""
    plain = json.dumps(delivered, sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]
