"""What a client is told, and what it refuses before any request."""

import pytest

from rxassist import AsyncClient, Client

URL = "http://127.0.0.1:9/v1"
VARIABLES = ("RXASSIST_BASE_URL", "RXASSIST_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")


def numbered(*cases):
    """Cases of a name and a function, which have no names of their own."""
    return [pytest.param(*case, id=f"{n}-{case[0]}") for n, case in enumerate(cases)]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_without_base_url_the_error_shows_the_two_ways_on(kind):
    with pytest.raises(ValueError, match="base_url") as caught:
        kind()
    message = str(caught.value)
    assert "ended on 2026-08-26" in message
    assert "base_url=" in message
    assert "rxassist serve" in message


def test_base_url_comes_from_the_argument_then_our_variable_then_openais(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://openai.test/v1")
    assert Client().base_url == "http://openai.test/v1"
    monkeypatch.setenv("RXASSIST_BASE_URL", "http://ours.test/v1")
    assert Client().base_url == "http://ours.test/v1"
    assert Client(base_url=URL).base_url == URL


@pytest.mark.parametrize(
    ("base_url", "error"),
    [
        ("", ValueError),
        ("nonsense", ValueError),
        ("ftp://a.test", ValueError),
        ("http://", ValueError),
        ("http://a.test:99999/v1", ValueError),
        (" http://a.test/v1", ValueError),
        ("http://a b/v1", ValueError),
        ("http://../v1", ValueError),
        ("http://a..b/v1", ValueError),
        ("http://-a/v1", ValueError),
        ("http://a-.test/v1", ValueError),
        ("http://" + "a" * 26 + "!/v1", ValueError),  # which once took hours
        ("http://a.test/v1?x=1", ValueError),
        ("http://a.test/v1#x", ValueError),
        (5, TypeError),
        (b"http://a.test/v1", TypeError),
    ],
)
def test_what_is_no_url_is_refused(base_url, error):
    with pytest.raises(error, match="base_url"):
        Client(base_url=base_url)


@pytest.mark.parametrize(
    ("api_key", "error"),
    [("", ValueError), (" ", ValueError), ("a b", ValueError), ("k\n", ValueError), (7, TypeError)],
)
def test_what_is_no_key_is_refused_without_being_shown(api_key, error):
    with pytest.raises(error, match="api_key") as caught:
        Client(base_url=URL, api_key=api_key)
    assert repr(api_key) not in str(caught.value)


@pytest.mark.parametrize("variable", ["RXASSIST_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("key", ["sk-secret\n", "sk-sécret", "sk secret"])
def test_a_key_of_the_environment_is_checked_too(monkeypatch, variable, key):
    monkeypatch.setenv(variable, key)
    with pytest.raises(ValueError, match=variable) as caught:
        Client(base_url=URL)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["max_connections", "max_event_bytes"])
def test_counts_are_whole_numbers(name):
    with pytest.raises(TypeError, match=name):
        Client(base_url=URL, **{name: 1.5})


@pytest.mark.parametrize("name", ["timeout", "idle_timeout", "max_connections", "max_event_bytes"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_bounds_must_be_positive_numbers(name, value, error):
    with pytest.raises(error, match=name):
        Client(base_url=URL, **{name: value})


@pytest.mark.parametrize("name", ["default_headers", "default_query"])
@pytest.mark.parametrize("value", ["x", {"a": 1}, {1: "a"}, [("a", "b")]])
def test_defaults_are_mappings_of_text(name, value):
    with pytest.raises(TypeError, match=name):
        Client(base_url=URL, **{name: value})


@pytest.mark.parametrize(
    "host", ["a--b.c_d.test.", "127.0.0.1", "[::1]:8", "[fe80::1%eth0]", "A.9"]
)
def test_hosts_of_all_kinds_are_taken(host):
    assert Client(base_url=f"http://{host}/v1").base_url == f"http://{host}/v1"


def test_a_base_url_with_a_password_is_refused_without_being_shown():
    with pytest.raises(ValueError, match="default_headers") as caught:
        Client(base_url="http://me:hunter2@a.test/v1")
    assert "hunter2" not in str(caught.value)


def test_beta_is_the_client_itself():
    client = Client(base_url=URL)
    assert client.beta.threads.runs is client.threads.runs


@pytest.mark.parametrize(
    "bad", ["", " ", "a/b", "../x", "..", "a?b", "a#b", "a b", "a%2Fb"], ids=repr
)
@pytest.mark.parametrize(
    ("name", "call"),
    numbered(
        ("thread_id", lambda c, bad: c.threads.messages.create(bad, role="user", content="x")),
        ("thread_id", lambda c, bad: c.threads.messages.list(bad)),
        ("thread_id", lambda c, bad: c.threads.runs.create(bad, assistant_id="a")),
        ("thread_id", lambda c, bad: c.threads.runs.stream(thread_id=bad, assistant_id="a")),
        ("run_id", lambda c, bad: c.threads.runs.retrieve(bad, thread_id="t")),
        ("run_id", lambda c, bad: c.threads.runs.cancel(bad, thread_id="t")),
        ("thread_id", lambda c, bad: c.threads.runs.list(bad)),
        (
            "run_id",
            lambda c, bad: c.threads.runs.submit_tool_outputs(bad, thread_id="t", tool_outputs=[]),
        ),
    ),
)
def test_an_id_that_is_none_is_refused(bad, name, call):
    with pytest.raises(ValueError, match=name):
        call(Client(base_url=URL), bad)


@pytest.mark.parametrize(
    ("name", "call"),
    numbered(
        ("thread_id", lambda c: c.threads.runs.create(None, assistant_id="a")),
        ("model", lambda c: c.assistants.create(model=5)),
        ("model", lambda c: c.assistants.create()),
        ("tools", lambda c: c.assistants.create(model="m", tools="code_interpreter")),
        ("tools", lambda c: c.assistants.create(model="m", tools={"type": "x"})),
        ("temperature", lambda c: c.assistants.create(model="m", temperature="hot")),
        ("temperature", lambda c: c.assistants.create(model="m", temperature=True)),
        ("metadata", lambda c: c.threads.create(metadata=[1])),
        ("metadata", lambda c: c.threads.create(metadata={"a": object()})),
        ("tools", lambda c: c.assistants.create(model="m", tools=["x"])),
        (
            "read_ahead",
            lambda c: c.threads.runs.stream(thread_id="t", assistant_id="a", read_ahead="x"),
        ),
        ("content", lambda c: c.threads.messages.create("t", role="user", content=5)),
        ("role", lambda c: c.threads.messages.create("t", content="x")),
        ("limit", lambda c: c.threads.messages.list("t", limit="all")),
        (
            "tool_outputs",
            lambda c: c.threads.runs.submit_tool_outputs_stream(
                thread_id="t", run_id="r", tool_outputs="done"
            ),
        ),
        ("assistant_id", lambda c: c.threads.runs.stream(thread_id="t")),
        ("assistant_id", lambda c: c.threads.runs.stream(thread_id="t", assistant_id=None)),
        (
            "temprature",
            lambda c: c.threads.runs.stream(thread_id="t", assistant_id="a", temprature=1),
        ),
    ),
)
def test_a_parameter_of_the_wrong_kind_is_refused(name, call):
    with pytest.raises(TypeError, match=name):
        call(Client(base_url=URL))


@pytest.mark.parametrize(
    ("name", "call"),
    numbered(
        ("model", lambda c: c.assistants.create(model=" ")),
        ("assistant_id", lambda c: c.threads.runs.create("t", assistant_id="a/b")),
        ("after", lambda c: c.threads.messages.list("t", after="a/b")),
        ("run_id", lambda c: c.threads.messages.list("t", run_id="")),
        ("order", lambda c: c.threads.messages.list("t", order="up")),
        ("temperature", lambda c: c.assistants.create(model="m", temperature=float("nan"))),
        (
            "tool_call_id",
            lambda c: c.threads.runs.submit_tool_outputs(
                "r", thread_id="t", tool_outputs=[{"tool_call_id": "", "output": "x"}]
            ),
        ),
        ("assistant_id", lambda c: c.threads.runs.stream(thread_id="t", assistant_id="")),
        ("limit", lambda c: c.threads.runs.list("t", limit=0)),
        ("limit", lambda c: c.threads.runs.list("t", limit=101)),
        (
            "on_dispose",
            lambda c: c.threads.runs.stream(thread_id="t", assistant_id="a", on_dispose="stop"),
        ),
        (
            "read_ahead",
            lambda c: c.threads.runs.stream(thread_id="t", assistant_id="a", read_ahead=0),
        ),
    ),
)
def test_a_value_that_cannot_be_is_refused(name, call):
    with pytest.raises(ValueError, match=name):
        call(Client(base_url=URL))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_with_a_key_alone_a_client_speaks_to_openai_for_what_is_left_there(kind):
    run = {"thread_id": "thread_1", "assistant_id": "asst_1"}
    client = kind(api_key="sk-1")
    assert client.base_url == "https://api.openai.com/v1"
    assert client.responses.stream(model="m", input="hi") is not None
    for call in (client.threads.create, client.assistants.list):
        with pytest.raises(ValueError, match=r"ended on 2026-08-26.*client\.responses"):
            call()
    with pytest.raises(ValueError, match=r"ended on 2026-08-26.*client\.responses"):
        client.threads.runs.stream(**run)
    other = kind(api_key="sk-1", base_url=URL)
    assert other.threads.runs.stream(**run) is not None
    with pytest.raises(ValueError, match="base_url is missing"):
        kind()
