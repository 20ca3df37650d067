"""What can go wrong with a request, on purpose: faults of HTTP, of event streams, of a store."""

from rxassist.local.assistants.lag import empty, lagging, shorten
from rxassist.local.assistants.replay import replay as _replay_run
from rxassist.local.responses.event_faults import (
    Plain,
    Retell,
    error_form,
    final_output,
    hang,
    keepalive,
    other_final_ids,
    queued,
    rename,
    renumber,
    restart_numbers,
    retell,
    rewind,
    rotate_ids,
    unstreamed,
)
from rxassist.local.responses.replay import is_of_a_response
from rxassist.local.responses.replay import replay as _replay_response
from rxassist.local.server.event_faults import (
    Rewrite,
    drop,
    duplicate,
    finish,
    framing,
    insert,
    rewrite,
    swap,
)
from rxassist.local.server.faults import (
    Asked,
    Edit,
    Fault,
    Faults,
    answer,
    append,
    break_chunk,
    cut,
    edited,
    forget,
    garble,
    hang_up,
    refuse,
    stall,
    trickle,
    truncate,
)


def replay(stream: bytes) -> Faults:
    """Reply like the service from which a stream was recorded, for any ids in the requests.

    The reply to a request that creates a run or a response, or submits outputs, is the stream; the
    run, its steps and its messages, or the response, are as they were when it ended. A request to
    continue the stream of a response gets the rest of it. The local service replies to all other
    requests. More faults can be added: ``replay(stream)(asked) | cut(100)``. Raises
    ``StreamTruncated`` if the recording ends in the middle of an event.
    """
    return _replay_response(stream) if is_of_a_response(stream) else _replay_run(stream)


__all__ = [
    "Asked",
    "Edit",
    "Fault",
    "Faults",
    "Plain",
    "Retell",
    "Rewrite",
    "answer",
    "append",
    "break_chunk",
    "cut",
    "drop",
    "duplicate",
    "edited",
    "empty",
    "error_form",
    "final_output",
    "finish",
    "forget",
    "framing",
    "garble",
    "hang",
    "hang_up",
    "insert",
    "keepalive",
    "lagging",
    "other_final_ids",
    "queued",
    "refuse",
    "rename",
    "renumber",
    "replay",
    "restart_numbers",
    "retell",
    "rewind",
    "rewrite",
    "rotate_ids",
    "shorten",
    "stall",
    "swap",
    "trickle",
    "truncate",
    "unstreamed",
]
