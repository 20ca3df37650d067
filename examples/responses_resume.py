"""Read the beginning of a response, and the rest of it later, with another client.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Client


def begin() -> tuple[str, int | None]:
    """Start a response in the background, and leave early: its id, and the last number seen."""
    with Client() as client:
        stream = client.responses.stream(
            model="scripted", input="Tell me a story.", background=True, store=True
        )
        delta = stream.filter(lambda event: event.is_delta).first().run()  # leaves; it goes on
        return delta.response_id, delta.sequence_number


def main() -> None:
    response_id, seen = begin()  # keep these two: in a database, a queue, a cookie
    with Client() as client:
        stream = client.responses.resume(response_id, after=seen)
        print(f"after {seen}:", "".join(stream.text_deltas))
        print(client.responses.retrieve(response_id).run().output_text)


if __name__ == "__main__":
    main()
