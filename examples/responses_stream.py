"""Print the text of a response as it grows, then ask again in the same conversation.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Client


def main() -> None:
    with Client() as client:
        conversation = client.conversations.create().run()
        for question in ("Good morning!", "And what else?"):
            stream = client.responses.stream(
                model="scripted", input=question, conversation=conversation.id
            )
            for text in stream.text_deltas:
                print(text, end="", flush=True)
            response = stream.get_final_run()  # another view: nothing is requested twice
            tokens = response.usage.total_tokens if response.usage else "unknown"
            print(f"\n{response.status}, {tokens} tokens")

        items = client.conversations.items.list(conversation.id, order="asc").to_list().run()
        print(f"the conversation has {len(items)} items")


if __name__ == "__main__":
    main()
