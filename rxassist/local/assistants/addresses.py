"""The addresses of runs, and of what belongs to them, for faults that tell requests apart."""

from __future__ import annotations

import re

_THREAD = "/v1/threads/[^/]+"

STREAMED = re.compile(rf"/v1/threads/runs|{_THREAD}/runs(/[^/]+/submit_tool_outputs)?")
"""What creates a run, or goes on with it."""
RUN = re.compile(rf"{_THREAD}/runs/[^/]+")
STEPS = re.compile(rf"{_THREAD}/runs/[^/]+/steps")
MESSAGES = re.compile(rf"{_THREAD}/messages")

__all__ = ["MESSAGES", "RUN", "STEPS", "STREAMED"]
