"""The parts of the Assistants protocol that need a state."""

from rxassist.protocols.assistants.callbacks import callbacks_of
from rxassist.protocols.assistants.citations import CITING
from rxassist.protocols.assistants.codec import encode_event
from rxassist.protocols.assistants.following import (
    deltas_of_calls,
    finished_messages,
    finished_run_steps,
    whole_calls,
)
from rxassist.protocols.assistants.snapshots import NOTHING, fold
from rxassist.runs.protocol import Protocol

PROTOCOL = Protocol(
    nothing=NOTHING,
    fold=fold,
    messages=finished_messages,
    run_steps=finished_run_steps,
    tool_calls=whole_calls,
    tool_call_deltas=deltas_of_calls,
    callbacks=callbacks_of,
    citing=CITING,
    encode=encode_event,
)

__all__ = ["PROTOCOL"]
