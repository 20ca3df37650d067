"""What people get wrong, and what they are told."""

import inspect

import pytest

from rxassist import AsyncClient, Client
from rxassist.client._resource import Resource

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
                elif isinstance(thing, Resource) and inspect.ismethod(member):
                    yield pytest.param(member, id=f"{where}.{name}")


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
    with Client(**NOWHERE) as client, pytest.raises(TypeError, match="did you mean on_dispose?"):
        client.threads.create_and_run_stream(assistant_id="a", on_dipose="cancel")


def test_a_parameter_that_is_like_no_other_is_told_without_a_guess():
    with Client(**NOWHERE) as client, pytest.raises(TypeError) as caught:
        client.threads.runs.stream(thread_id="t", assistant_id="a", zzz=1)
    assert str(caught.value) == "zzz is not a parameter of Runs.stream()"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_option_that_no_client_has_is_told_with_the_nearest_one(kind):
    with pytest.raises(TypeError) as caught:
        kind(base_ulr="http://127.0.0.1:9/v1")
    told = f"base_ulr is not a parameter of {kind.__name__}(); did you mean base_url?"
    assert str(caught.value) == told
