"""Three runs at once, merged into one Observable of who says what.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

import reactivex as rx
from reactivex import Observable

from rxassist import Client, iterate

QUESTIONS = {"ann": "What is an Observable?", "bob": "And an operator?", "eve": "Why a scheduler?"}


def ask(client: Client, assistant_id: str, name: str, question: str) -> Observable[str]:
    """What the assistant answers, a line for each finished message."""
    thread = {"messages": [{"role": "user", "content": question}]}
    stream = client.threads.create_and_run_stream(assistant_id=assistant_id, thread=thread)
    return stream.snapshots.last().map(lambda snapshot: f"{name}: {snapshot.text}")


def main() -> None:
    with Client() as client:
        assistant = client.assistants.create(model="scripted").run()
        answers = [
            ask(client, assistant.id, name, question) for name, question in QUESTIONS.items()
        ]
        for line in iterate(rx.merge(*answers)):
            print(line)


if __name__ == "__main__":
    main()
