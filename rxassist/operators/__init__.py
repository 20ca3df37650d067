"""Operators for ``pipe``: from the bytes of a stream to what you want to see of a run.

Each is called to make it (``source.pipe(text_deltas())``), keeps its state in the subscription,
completes and fails with its source unless it says otherwise, and frees the source when it ends.
"""

from rxassist.operators._decode import decode
from rxassist.operators._kernel import choose
from rxassist.operators._lifetime import check_ending, raise_for_status, until_done
from rxassist.operators._select import final_run, of_type, runs
from rxassist.operators._snapshots import (
    accumulate_snapshots,
    messages,
    run_steps,
    text_snapshots,
)
from rxassist.operators._text import text_deltas
from rxassist.operators._tools import tool_call_deltas, tool_calls

__all__ = [
    "accumulate_snapshots",
    "check_ending",
    "choose",
    "decode",
    "final_run",
    "messages",
    "of_type",
    "raise_for_status",
    "run_steps",
    "runs",
    "text_deltas",
    "text_snapshots",
    "tool_call_deltas",
    "tool_calls",
    "until_done",
]
