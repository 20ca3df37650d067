"""The snippets of the official helpers page, which both type checkers accept, run as they stand."""

import runpy
from pathlib import Path

import pytest

from rxassist import Client
from rxassist.local import call, code, say

PAGE = runpy.run_path(str(Path(__file__).parents[1] / "typing" / "helpers_page.py"))


def spoken(_):
    """Run code, and speak."""
    yield code("print(2)", logs="2\n")
    yield say("It is", " two.")


def asked(_):
    weather = yield call("get_weather", {})
    yield say("It is ", weather)


@pytest.fixture
def speaking(serve):
    with Client(base_url=serve(spoken).base_url) as client:
        yield client


@pytest.fixture
def place(speaking):
    assistant = speaking.assistants.create(model="m").run()
    return speaking.threads.create().run().id, assistant.id


def test_an_event_handler(speaking, place, capsys):
    PAGE["with_an_event_handler"](speaking, *place)
    told = capsys.readouterr().out
    assert "assistant > code_interpreter" in told
    assert "print(2)" in told
    assert "output >\n\n2" in told
    assert told.endswith("assistant > It is two.")


def test_iterating_over_events(speaking, place, capsys):
    PAGE["over_events"](speaking, *place)
    assert capsys.readouterr().out.count("TextDelta(value=") == 2


def test_iterating_over_text(speaking, place, capsys):
    PAGE["over_text"](speaking, *place)
    assert capsys.readouterr().out == "It is\n two.\n"


def test_outputs_that_are_submitted(serve, capsys):
    with Client(base_url=serve(asked).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        assert PAGE["on_a_new_thread"](client, assistant.id) == "completed"
    assert capsys.readouterr().out == "It is sunny"


def test_an_event_handler_on_an_event_loop(serve, run_async, capsys):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        await PAGE["with_an_async_event_handler"](client, assistant.id)

    run_async(serve(asked), main)
    assert capsys.readouterr().out == "\nassistant > function\n\nIt is sunny"


def test_iterating_on_an_event_loop(serve, run_async, capsys):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        return await PAGE["over_events_and_text"](client, assistant.id)

    assert run_async(serve(spoken), main) == "completed"
    assert capsys.readouterr().out.endswith("It is two.")
