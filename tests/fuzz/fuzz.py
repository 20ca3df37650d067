"""A coverage-guided fuzzer of all that strangers' bytes pass through.

``python tests/fuzz/fuzz.py [options of libFuzzer] [folder of inputs]``; needs atheris. The tests
beside it use ``survive`` with other inputs.
"""

import importlib
import sys
import tempfile
from pathlib import Path

LIMIT = 100_000  # bytes of an event

OPERATORS = (
    "accumulate_snapshots",
    "messages",
    "run_steps",
    "runs",
    "text_deltas",
    "text_snapshots",
    "tool_call_deltas",
    "tool_calls",
)

WORDS = ("id", "delta", "content", "step_details", "tool_calls", "index", "type", "text", "value",
         "annotations", "function", "arguments", "code_interpreter", "outputs", "logs", "hum",
         "null", "1e999999", "-1", "NaN", "\\ud83d", "\\0", "[DONE]", "thread.message.delta",
         "thread.run.step.delta", "thread.message.completed", "error")  # fmt: skip


def survive(body, size=None):
    """Decode a body in chunks of a size, fold its events and read all that they gave.

    Gives the events. Any exception but those of rxassist comes out.
    """
    codec = importlib.import_module("rxassist.protocols.assistants.codec")
    errors = importlib.import_module("rxassist.errors")
    snapshots = importlib.import_module("rxassist.protocols.assistants.snapshots")
    decoder = codec.EventDecoder(LIMIT)
    size = size or len(body) or 1
    events = []
    try:
        for begin in range(0, len(body), size):
            events.extend(decoder.feed(body[begin : begin + size]))
        events.extend(decoder.flush())
    except errors.RxAssistError as error:
        assert len(str(error)) < 1000  # noqa: PT017 -- the rest of the body does not matter
    snapshot = snapshots.Snapshot()
    for event in events:
        snapshot = snapshots.fold(snapshot, event)
    for name in ("text", "message", "run_step", "messages", "run_steps"):
        assert isinstance(repr(getattr(snapshot, name)), str)
    read(events)
    return events


def read(events, names=OPERATORS):
    """Send events through operators; any error comes out."""
    reactivex = importlib.import_module("reactivex")
    operators = importlib.import_module("rxassist.operators")
    for name in names:
        raised = []
        source = reactivex.from_iterable(events).pipe(getattr(operators, name)())
        source.subscribe(on_error=raised.append)
        assert not raised, (name, raised)


def _seeds(folder):
    """Each event of each recorded stream, once, behind a size of chunks."""
    wire = Path(__file__).parents[1] / "wire" / "assistants"
    for path in sorted(wire.glob("*.sse")):
        for number, event in enumerate(path.read_bytes().split(b"\n\n")):
            Path(folder, f"{path.stem}-{number}").write_bytes(b"\x40" + event + b"\n\n")


def main():
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["rxassist"]):
        importlib.import_module("rxassist.operators")
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words")
        words.write_text("".join(f'"{word}"\n' for word in WORDS).replace("\\", "\\\\"))
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        _seeds(seeds)
        bounds = ["-timeout=5", "-rss_limit_mb=2048", "-max_len=4096", f"-dict={words}"]
        atheris.Setup(
            [*sys.argv, *bounds, str(seeds)], lambda data: survive(data[1:], sum(data[:1]))
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
