"""The addresses of runs, of their steps and of messages, for faults of single requests."""

from __future__ import annotations

import re

_THREAD = "/v1/threads/[^/]+"

STREAMED = re.compile(rf"/v1/threads/runs|{_THREAD}/runs(/[^/]+/submit_tool_outputs)?")
"""Requests that create a run, or continue it with outputs."""
RUN = re.compile(rf"{_THREAD}/runs/[^/]+")
STEPS = re.compile(rf"{_THREAD}/runs/[^/]+/steps")
MESSAGES = re.compile(rf"{_THREAD}/messages")

__all__ = ["MESSAGES", "RUN", "STEPS", "STREAMED"]
