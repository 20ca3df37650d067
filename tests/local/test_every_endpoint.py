"""Every endpoint of the service's description, called by the official SDK."""

import asyncio
import re

import openai
import pytest

from rxassist.local import call, fail, refuse, wait

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")

ENDPOINTS = """
GET /assistants
POST /assistants
GET /assistants/{assistant_id}
POST /assistants/{assistant_id}
DELETE /assistants/{assistant_id}
POST /conversations
GET /conversations/{conversation_id}
POST /conversations/{conversation_id}
DELETE /conversations/{conversation_id}
GET /conversations/{conversation_id}/items
POST /conversations/{conversation_id}/items
GET /conversations/{conversation_id}/items/{item_id}
DELETE /conversations/{conversation_id}/items/{item_id}
GET /files
POST /files
GET /files/{file_id}
DELETE /files/{file_id}
GET /files/{file_id}/content
POST /responses
POST /responses/compact
POST /responses/input_tokens
GET /responses/{response_id}
DELETE /responses/{response_id}
POST /responses/{response_id}/cancel
GET /responses/{response_id}/input_items
POST /threads
POST /threads/runs
GET /threads/{thread_id}
POST /threads/{thread_id}
DELETE /threads/{thread_id}
GET /threads/{thread_id}/messages
POST /threads/{thread_id}/messages
GET /threads/{thread_id}/messages/{message_id}
POST /threads/{thread_id}/messages/{message_id}
DELETE /threads/{thread_id}/messages/{message_id}
GET /threads/{thread_id}/runs
POST /threads/{thread_id}/runs
GET /threads/{thread_id}/runs/{run_id}
POST /threads/{thread_id}/runs/{run_id}
POST /threads/{thread_id}/runs/{run_id}/cancel
GET /threads/{thread_id}/runs/{run_id}/steps
GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}
POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs
GET /vector_stores
POST /vector_stores
GET /vector_stores/{vector_store_id}
POST /vector_stores/{vector_store_id}
DELETE /vector_stores/{vector_store_id}
POST /vector_stores/{vector_store_id}/file_batches
GET /vector_stores/{vector_store_id}/file_batches/{batch_id}
POST /vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel
GET /vector_stores/{vector_store_id}/file_batches/{batch_id}/files
GET /vector_stores/{vector_store_id}/files
POST /vector_stores/{vector_store_id}/files
GET /vector_stores/{vector_store_id}/files/{file_id}
POST /vector_stores/{vector_store_id}/files/{file_id}
DELETE /vector_stores/{vector_store_id}/files/{file_id}
GET /vector_stores/{vector_store_id}/files/{file_id}/content
POST /vector_stores/{vector_store_id}/search
""".strip().splitlines()


def ingest(upload):
    """Take a moment; a file that says so fails, and one that is to wait never ends."""
    yield wait(0)
    if upload.text.startswith("fail"):
        yield fail("invalid_file", "It said so.")
    if upload.text.startswith("wait"):
        yield wait(60)


def script(turn):
    """Call a function, after a minute if that is what the user wants."""
    if turn.text == "wait":
        yield wait(60)
    yield call("f")


@pytest.fixture
def service(serve):
    return serve(script, ingest=ingest, poll_after_ms=1)


@pytest.fixture
def client(service):
    with openai.OpenAI(
        base_url=service.base_url,
        api_key="any",
        max_retries=0,
        _strict_response_validation=True,  # what does not fit its models raises
    ) as client:
        yield client


def tour_of_runs(client):
    assistants, threads = client.beta.assistants, client.beta.threads
    assistant = assistants.create(model="m", name="Ada", instructions="Guide.")
    assert assistants.retrieve(assistant.id) == assistant
    assert assistants.update(assistant.id, name="Bob").name == "Bob"
    assert [each.name for each in assistants.list()] == ["Bob"]

    thread = threads.create(metadata={"a": "b"})
    assert threads.retrieve(thread.id) == thread
    assert threads.update(thread.id, metadata={}).metadata == {}
    messages = threads.messages
    message = messages.create(thread.id, role="user", content="hi")
    assert messages.retrieve(message.id, thread_id=thread.id) == message
    changed = messages.update(message.id, thread_id=thread.id, metadata={"k": "v"})
    assert list(messages.list(thread.id)) == [changed]
    assert messages.delete(message.id, thread_id=thread.id).deleted

    run = threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
    place = {"thread_id": thread.id, "run_id": run.id}
    assert threads.runs.retrieve(run.id, thread_id=thread.id) == run
    changed = threads.runs.update(run.id, thread_id=thread.id, metadata={"k": "v"})
    assert list(threads.runs.list(thread.id)) == [changed]
    (step,) = threads.runs.steps.list(run.id, thread_id=thread.id)
    assert threads.runs.steps.retrieve(step.id, **place) == step
    (asked,) = run.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": asked.id, "output": "x"}]
    done = threads.runs.submit_tool_outputs_and_poll(**place, tool_outputs=outputs)
    assert done.status == "completed"
    other = threads.create_and_run_poll(assistant_id=assistant.id)
    assert threads.runs.cancel(other.id, thread_id=other.thread_id).status == "cancelling"

    assert threads.delete(thread.id).deleted
    assert assistants.delete(assistant.id).deleted


def tour_of_responses(client):
    responses = client.responses
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": True}
    first = responses.create(model="m", input="hi", tools=[tool])
    assert responses.retrieve(first.id) == first
    (asked,) = first.output
    output = {"type": "function_call_output", "call_id": asked.call_id, "output": "x"}
    with responses.stream(model="m", input=[output], previous_response_id=first.id) as stream:
        second = stream.get_final_response()
    (item,) = responses.input_items.list(second.id)
    assert item.output == "x"
    assert responses.input_tokens.count(model="m", input="one two").input_tokens == 2
    # The SDK's model knows no messages of the user there, which the real service sends.
    raw = responses.with_raw_response.compact(model="m", previous_response_id=second.id)
    items = raw.http_response.json()["output"]
    assert [each["type"] for each in items] == ["message", "compaction"]
    waiting = responses.create(model="m", input="wait", background=True)
    assert responses.cancel(waiting.id).status == "cancelled"
    responses.delete(first.id)


def tour_of_conversations(client):
    conversations = client.conversations
    conversation = conversations.create(metadata={"a": "b"})
    assert conversations.retrieve(conversation.id) == conversation
    assert conversations.update(conversation.id, metadata={}).metadata == {}
    message = {"type": "message", "role": "user", "content": "hi"}
    (item,) = conversations.items.create(conversation.id, items=[message]).data
    assert list(conversations.items.list(conversation.id)) == [item]
    place = {"conversation_id": conversation.id}
    assert conversations.items.retrieve(item.id, **place) == item
    assert conversations.items.delete(item.id, **place).id == conversation.id
    assert conversations.delete(conversation.id).deleted


def tour_of_files(client, tmp_path):
    path = tmp_path / "cats.txt"
    path.write_text("Cats sleep.")
    with path.open("rb") as opened:
        file = client.files.create(file=opened, purpose="assistants")
    expiry = {"anchor": "created_at", "seconds": 3600}
    other = client.files.create(file=("b.txt", b"b"), purpose="user_data", expires_after=expiry)
    assert (file.filename, file.bytes, file.object) == ("cats.txt", 11, "file")
    assert other.expires_at == other.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id).status == "processed"
    assert list(client.files.list(limit=1)) == [other, file]  # page by page
    assert list(client.files.list(purpose="user_data")) == [other]
    assert client.files.content(file.id).read() == b"Cats sleep."
    assert client.files.delete(other.id).deleted
    return file


def tour_of_vector_stores(client, file):
    stores = client.vector_stores
    store = stores.create(name="Pets", expires_after={"anchor": "last_active_at", "days": 1})
    assert stores.retrieve(store.id) == store
    assert stores.update(store.id, name="Cats").name == "Cats"
    other = stores.create(name="Other")
    assert [each.id for each in stores.list(limit=1)] == [other.id, store.id]
    assert stores.delete(other.id).deleted

    item = stores.files.create_and_poll(file.id, vector_store_id=store.id, attributes={"n": 1})
    assert (item.id, item.status, item.attributes) == (file.id, "completed", {"n": 1})
    place = {"vector_store_id": store.id}
    assert stores.files.retrieve(file.id, **place) == item
    changed = stores.files.update(file.id, **place, attributes={"n": 2})
    assert list(stores.files.list(store.id, filter="completed")) == [changed]
    assert [part.text for part in stores.files.content(file.id, **place)] == ["Cats sleep."]
    (found,) = stores.search(
        store.id,
        query="Do cats sleep?",
        filters={"type": "eq", "key": "n", "value": 2},
        ranking_options={"score_threshold": 0.5},
    )
    assert (found.file_id, found.filename, found.score) == (file.id, "cats.txt", 2 / 3)
    assert found.content[0].text == "Cats sleep."
    uploaded = stores.files.upload_and_poll(**place, file=("a.txt", b"fail, please"))
    assert (uploaded.status, uploaded.last_error.code) == ("failed", "invalid_file")
    assert stores.files.delete(uploaded.id, **place).deleted


def tour_of_batches(client, file):
    stores = client.vector_stores
    store = stores.create(name="Batches", file_ids=[file.id])
    batches, place = stores.file_batches, {"vector_store_id": store.id}
    files = [(f"{number}.txt", b"fail" if number == 2 else b"fine") for number in range(4)]
    batch = batches.upload_and_poll(store.id, files=files, file_ids=[file.id])
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == (
        "completed",
        4,
        1,
    )
    assert batches.retrieve(batch.id, **place) == batch
    items = list(batches.list_files(batch.id, **place, limit=2))
    assert len(items) == 5
    failed = list(batches.list_files(batch.id, **place, filter="failed"))
    assert [item.last_error.message for item in failed] == ["It said so."]
    waiting = client.files.create(file=("w.txt", b"wait"), purpose="assistants")
    batch = batches.create(store.id, files=[{"file_id": waiting.id, "attributes": {"n": 1}}])
    assert (batch.status, batch.file_counts.in_progress) == ("in_progress", 1)
    cancelled = batches.cancel(batch.id, **place)
    assert (cancelled.status, cancelled.file_counts.cancelled) == ("cancelled", 1)
    assert batches.poll(batch.id, **place) == cancelled


def test_the_official_client_calls_every_endpoint(client, service, tmp_path):
    tour_of_runs(client)
    tour_of_responses(client)
    tour_of_conversations(client)
    file = tour_of_files(client, tmp_path)
    tour_of_vector_stores(client, file)
    tour_of_batches(client, file)
    assert [endpoint for endpoint in ENDPOINTS if not called(service, endpoint)] == []


def called(service, endpoint):
    method, path = endpoint.split()
    # Ids have a prefix, in which they differ from the last part of ``/threads/runs``.
    pattern = re.compile("/v1" + re.sub(r"\{\w+\}", r"[a-z]+[-_]\\w+", path))
    return any(done == method and pattern.fullmatch(at) for done, at in service.requests)


def test_the_async_client_uploads_batches_too(service):
    async def main():
        async with openai.AsyncOpenAI(base_url=service.base_url, api_key="any") as client:
            store = await client.vector_stores.create()
            files = [(f"{number}.txt", b"x" * 2_000_000) for number in range(8)]
            batch = await client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
            items = client.vector_stores.files.list(store.id, limit=3)
            return batch.file_counts.completed, [item.usage_bytes async for item in items]

    async def bounded():
        async with asyncio.timeout(30):
            return await main()

    assert asyncio.run(bounded()) == (8, [2_000_000] * 8)


def test_the_sdk_tells_errors_and_tries_again(serve):
    def faults(asked):
        first = (asked.method, asked.attempt) == ("POST", 1)
        return refuse(429, {"retry-after-ms": "1"}) if first else None

    service = serve(faults=faults)
    with openai.OpenAI(base_url=service.base_url, api_key="any", max_retries=1) as client:
        store = client.vector_stores.create()
        assert service.requests == [("POST", "/v1/vector_stores")] * 2
        with pytest.raises(openai.NotFoundError, match="No file found with id 'file-x'"):
            client.vector_stores.files.create(store.id, file_id="file-x")
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(file=("a", b"a"), purpose="fun")
        assert caught.value.body["param"] == "purpose"
