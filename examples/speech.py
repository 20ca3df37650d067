"""Whole sentences for a voice, each as soon as it is known to have ended.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from time import monotonic

from rxassist import Client, iterate
from rxassist.operators import sentences


def speak(sentence: str, after: float) -> None:
    """Stands for a speech engine; while it works, the stream may be paused."""
    print(f"{after:6.3f} s  {sentence}")


def main() -> None:
    with Client() as client:
        assistant = client.assistants.create(model="scripted").run()
        question = {"role": "user", "content": "How old is Dr. Who? I ask for a friend."}
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [question]}
        )
        begun = monotonic()
        for sentence in iterate(stream.text_deltas.pipe(sentences())):
            speak(sentence, monotonic() - begun)


if __name__ == "__main__":
    main()
