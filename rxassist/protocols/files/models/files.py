"""Files (API reference: Files)."""

from __future__ import annotations

from attrs import frozen

from rxassist.wire.values import Model


@frozen
class File(Model):
    """A file that was uploaded, or made by a tool; ``bytes`` is its size."""

    id: str
    object: str = "file"
    bytes: int = 0
    created_at: float = 0
    expires_at: float | None = None
    filename: str = ""
    purpose: str = ""
    status: str | None = None
    status_details: str | None = None


__all__ = ["File"]
