"""Upload a file, put it into a vector store, and ask an assistant that may search it.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Client

FOODS = b"Filip likes cake. Effie likes pizza. Ferdinand likes tacos."


def main() -> None:
    with Client() as client:
        store = client.vector_stores.create(name="foods").run()
        file = client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("foods.txt", FOODS)
        ).run()
        print(f"foods.txt: {file.status}")

        found = client.vector_stores.search(store.id, query="What does Filip like?").run()
        print(f"found: {found.data[0].content[0].text}")

        assistant = client.assistants.create(
            model="scripted",
            tools=[{"type": "file_search"}],
            tool_resources={"file_search": {"vector_store_ids": [store.id]}},
        ).run()
        question = {"role": "user", "content": "What does Filip like?"}
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [question]}
        )
        for text in stream.text_deltas:
            print(text, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
