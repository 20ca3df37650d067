"""Print the text of a run as it grows.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Client


def main() -> None:
    with Client() as client:
        assistant = client.assistants.create(model="scripted").run()
        thread = client.threads.create().run()
        client.threads.messages.create(thread.id, role="user", content="Good morning!").run()

        stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
        for text in stream.text_deltas:
            print(text, end="", flush=True)
        print()

        run = stream.get_final_run()  # another view of the same run: nothing is asked twice
        print(f"{run.status}, {run.usage.total_tokens if run.usage else 'unknown'} tokens")


if __name__ == "__main__":
    main()
