"""What the Responses protocol knows about runs that needs a state."""

from rxassist.protocols.responses.callbacks import callbacks_of
from rxassist.protocols.responses.citations import CITING
from rxassist.protocols.responses.codec import encode_event
from rxassist.protocols.responses.following import (
    deltas_of_calls,
    finished_messages,
    no_run_steps,
    whole_calls,
)
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.runs.protocol import Protocol

PROTOCOL = Protocol(
    nothing=NOTHING,
    fold=fold,
    messages=finished_messages,
    run_steps=no_run_steps,
    tool_calls=whole_calls,
    tool_call_deltas=deltas_of_calls,
    callbacks=callbacks_of,
    citing=CITING,
    encode=encode_event,
)

__all__ = ["PROTOCOL"]
