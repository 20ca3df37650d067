"""What people get wrong, and what they are told."""

import inspect

import pytest
from reactivex import operators as ops
from reactivex.internal import SequenceContainsNoElementsError

from rxassist import (
    AsyncClient,
    BlockingCallError,
    Client,
    EmptyError,
    StreamClosed,
    ThreadBusyError,
    merge_runs,
    operators,
)
from rxassist.local import LocalService
from rxassist.wire.calls import Resource

NOWHERE = {"base_url": "http://127.0.0.1:9/v1"}


# --- parameters that do not exist ----------------------------------------------------------


def methods():
    """Each method of each resource, by its path from the client."""
    with Client(**NOWHERE) as client:
        waiting = [("client", client)]
        while waiting:
            where, thing = waiting.pop()
            for name in dir(thing):
                member = None if name.startswith("_") or name == "beta" else getattr(thing, name)
                if isinstance(member, Resource):
                    waiting.append((f"{where}.{name}", member))
                elif isinstance(thing, Resource) and _is_a_call(member, name):
                    yield pytest.param(member, id=f"{where}.{name}")


def _is_a_call(member, name):
    return inspect.ismethod(member) and not hasattr(Resource, name)


def required(method):
    """Arguments for what a method cannot do without."""
    parameters = inspect.signature(method).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    file = ("a.txt", b"a")
    return {p.name: {"file": file, "files": [file]}.get(p.name, "x") for p in needed}


@pytest.mark.parametrize("method", [*methods()])
def test_a_parameter_that_no_call_has_is_told_with_the_nearest_one_and_the_call(method):
    with pytest.raises(TypeError) as caught:
        method(**required(method), time_out=1)
    call = f"{type(method.__self__).__name__}.{method.__name__}()"
    assert str(caught.value) == (f"time_out is not a parameter of {call}; did you mean timeout?")


def test_a_misspelt_parameter_is_told_before_the_one_that_is_missing_for_it():
    with Client(**NOWHERE) as client:
        for call, named in (
            (client.threads.runs.stream, "Runs.stream()"),
            (client.threads.runs.create, "Runs.create()"),
            (client.threads.runs.create_and_poll, "Runs.create_and_poll()"),
        ):
            with pytest.raises(TypeError) as caught:
                call(thread_id="thread_1", assistent_id="asst_1")
            told = f"assistent_id is not a parameter of {named}; did you mean assistant_id?"
            assert str(caught.value) == told
            with pytest.raises(TypeError) as caught:
                call(thread_id="thread_1")
            assert str(caught.value) == f"assistant_id is missing: {named} needs it"


def test_options_of_streams_are_near_ones_too():
    with Client(**NOWHERE) as client, pytest.raises(TypeError, match="did you mean on_dispose"):
        client.threads.create_and_run_stream(assistant_id="a", on_dipose="cancel")


def test_a_parameter_that_is_like_no_other_is_told_without_a_guess():
    with Client(**NOWHERE) as client, pytest.raises(TypeError) as caught:
        client.threads.runs.stream(thread_id="t", assistant_id="a", zzz=1)
    assert str(caught.value) == "zzz is not a parameter of Runs.stream()"


def test_methods_of_the_client_itself_know_their_parameters_too():
    with Client(**NOWHERE) as client:
        with pytest.raises(TypeError) as caught:
            client.with_options(time_out=1)
        told = "time_out is not a parameter of Client.with_options(); did you mean timeout?"
        assert str(caught.value) == told
        with pytest.raises(TypeError) as caught:
            client.request("GET", "/x", time_out=1)
        told = "time_out is not a parameter of Client.request(); did you mean timeout?"
        assert str(caught.value) == told


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_option_that_no_client_has_is_told_with_the_nearest_one(kind):
    with pytest.raises(TypeError) as caught:
        kind(base_ulr="http://127.0.0.1:9/v1")
    told = f"base_ulr is not a parameter of {kind.__name__}(); did you mean base_url?"
    assert str(caught.value) == told


# --- calls at the wrong time, or in the wrong place ----------------------------------------


def test_a_busy_thread_names_what_waits_for_it(forever):
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        where = {"thread_id": client.threads.create().run().id, "assistant_id": assistant.id}
        first = client.threads.runs.create(**where).run()
        for call in (client.threads.runs.create, client.threads.runs.stream):
            with pytest.raises(ThreadBusyError) as caught:
                call(**where).run()
            assert first.id in str(caught.value)
            told = '; if_busy="wait" waits for that run, "cancel" cancels it'
            assert str(caught.value).endswith(told)


def test_blocking_in_a_callback_names_what_answers_a_run_and_what_chains(client, place):
    told = []

    def block(_):
        try:
            client.threads.create().run()
        except BlockingCallError as error:
            told.append(str(error))

    client.threads.runs.stream(**place).do_action(block).run()
    assert {"tools=[…]", "flat_map"} <= set(told[0].replace(",", "").split())


def test_a_stream_that_was_closed_says_where_it_is_read(forever):
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        with client.threads.create_and_run_stream(assistant_id=assistant.id) as stream:
            events = iter(stream)
            next(events)
        told = "closed before its end; read it inside its `with … as stream` block, or call again"
        with pytest.raises(StreamClosed, match=told):
            list(stream)
        with pytest.raises(StreamClosed, match=told), stream:
            pytest.fail("it was entered")


def test_a_stream_that_has_ended_can_be_entered_again(client, place):
    with client.threads.runs.stream(**place) as stream:
        events = list(stream)
    with stream as again:
        assert list(again) == events


def test_an_async_stream_that_was_closed_says_where_it_is_read(forever, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        async with stream:
            async for _ in stream:
                break
        with pytest.raises(StreamClosed, match="with … as stream"):
            async with stream:
                pytest.fail("it was entered")

    run_async(forever, main)


def test_the_last_item_of_an_empty_list_is_told_with_the_list(client, place):
    messages = client.threads.messages.list(place["thread_id"])
    with pytest.raises(EmptyError) as caught:
        messages.run()
    assert isinstance(caught.value, SequenceContainsNoElementsError)
    assert str(caught.value) == (
        f"the list GET /threads/{place['thread_id']}/messages is empty, and run() and await give "
        "its last item; list(…) and to_list() of reactivex give all items, also none"
    )
    assert list(messages) == messages.pipe(ops.to_list()).run() == []


def test_awaiting_an_empty_list_says_the_same(service, run_async):
    async def main(client):
        thread = await client.threads.create()
        with pytest.raises(EmptyError, match=r"the list GET /threads/thread_.*/messages is empty"):
            await client.threads.messages.list(thread.id)

    run_async(service, main)


def test_text_of_a_run_that_says_nothing_is_empty_too():
    with LocalService(lambda turn: []) as service, Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        with pytest.raises(EmptyError, match="this Observable is empty"):
            stream.text_deltas.run()


# --- operators on the wrong thing ----------------------------------------------------------


@pytest.mark.parametrize(
    "operator",
    [operators.text_deltas, operators.messages, operators.tool_calls, operators.runs],
    ids=lambda operator: operator.__name__,
)
def test_an_operator_of_one_run_on_many_runs_names_what_takes_them_apart(client, place, operator):
    def merged():
        return merge_runs({"ann": client.threads.create_and_run_stream(assistant_id=assistant_id)})

    assistant_id = place["assistant_id"]
    with pytest.raises(TypeError, match=r"of_run\(key\).*group_by_run\(\)"):
        merged().pipe(operator()).run()
    list(merged().pipe(operators.of_run("ann"), operator()))
