"""Twenty runs as one, five at a time: a line for each that has ended, and what the last one said.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Budget, Client, RunStream, iterate, merge_runs

NAMES = [f"visitor {number}" for number in range(1, 21)]


def welcome(client: Client, assistant_id: str, name: str) -> RunStream:
    """A run that welcomes somebody, as soon as the budget has a place for it."""
    thread = {"messages": [{"role": "user", "content": f"Welcome {name}!"}]}
    return client.threads.create_and_run_stream(assistant_id=assistant_id, thread=thread)


def main() -> None:
    with Client(budget=Budget(max_runs=5, requests_per_minute=600)) as client:
        assistant = client.assistants.create(model="scripted").run()
        streams = {name: welcome(client, assistant.id, name) for name in NAMES}
        for item in iterate(merge_runs(streams)):
            if item.error is not None:
                print(f"{item.key}: {item.error}")
            elif item.summary is not None:
                print(f"{item.key}: {item.summary.status} in {item.summary.duration:.2f} s")
        print(streams[NAMES[-1]].snapshot.text)


if __name__ == "__main__":
    main()
