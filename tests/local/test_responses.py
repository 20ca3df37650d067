"""Responses over plain HTTP: what they may not be, and what happens when nobody listens."""

from collections import deque

import httpx
import pytest

from rxassist.local import (
    call,
    cite,
    code,
    custom_call,
    expire,
    fail,
    image,
    incomplete,
    link,
    mcp,
    say,
    search,
    think,
    together,
    wait,
    web_search,
)
from rxassist.models import FileSearchResult, FileSearchResultContent
from rxassist.protocols.responses.codec import EventDecoder
from rxassist.protocols.responses.events import OutputItemDone, ResponseEvent
from rxassist.protocols.responses.models import Response
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.wire.structure import structure


def create(caller, **body):
    return caller.post("/responses", **{"model": "m", "input": "hi", **body})


def events_of(answer):
    decoder = EventDecoder()
    return [event for chunk in answer.iter_bytes() for event in decoder.feed(chunk)]


def stream(caller, **body):
    body = {"model": "m", "input": "hi", "stream": True, **body}
    with caller.http.stream("POST", "/responses", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        return events_of(answer)


def read_again(caller, response_id, **query):
    path = f"/responses/{response_id}"
    with caller.http.stream("GET", path, params={"stream": "true", **query}) as answer:
        return events_of(answer)


def endless(_):
    yield say("one")
    while True:
        yield wait(0.01)


def played(caller, **body):
    """The events of a response, which is the same however it is looked at."""
    events = stream(caller, **body)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert isinstance(last, ResponseEvent)
    snapshot = NOTHING
    for event in events[:-1]:
        snapshot = fold(snapshot, event)
    assert snapshot.output == last.response.output
    done = {event.output_index: event.item for event in events if isinstance(event, OutputItemDone)}
    assert tuple(done[index] for index in range(len(done))) == last.response.output
    stored = structure(caller.get(f"/responses/{last.response.id}"), Response)
    assert stored == last.response
    return events


def kinds(events):
    return [event.name for event in events]


# --- moves -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("move", "names"),
    [
        (
            think("I ", "think."),
            [
                "response.output_item.added",
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
                "response.reasoning_summary_part.done",
                "response.output_item.done",
            ],
        ),
        (
            think("I ", "think.", raw=True),
            [
                "response.output_item.added",
                "response.content_part.added",
                "response.reasoning_text.delta",
                "response.reasoning_text.delta",
                "response.reasoning_text.done",
                "response.content_part.done",
                "response.output_item.done",
            ],
        ),
        (
            say("No.", refusal=True),
            [
                "response.output_item.added",
                "response.content_part.added",
                "response.refusal.delta",
                "response.refusal.delta",
                "response.refusal.done",
                "response.content_part.done",
                "response.output_item.done",
            ],
        ),
        (
            code("2", logs="2\n", image_file_id="file-1"),
            [
                "response.output_item.added",
                "response.code_interpreter_call.in_progress",
                "response.code_interpreter_call_code.delta",
                "response.code_interpreter_call_code.done",
                "response.code_interpreter_call.interpreting",
                "response.code_interpreter_call.completed",
                "response.output_item.done",
            ],
        ),
        (
            mcp("find", {}, output="found", approval=False),
            [
                "response.output_item.added",
                "response.mcp_call.in_progress",
                "response.mcp_call_arguments.delta",
                "response.mcp_call_arguments.done",
                "response.mcp_call.completed",
                "response.output_item.done",
            ],
        ),
        (
            web_search("tea", "https://example.com"),
            [
                "response.output_item.added",
                "response.web_search_call.in_progress",
                "response.web_search_call.searching",
                "response.web_search_call.completed",
                "response.output_item.done",
            ],
        ),
        (
            custom_call("shell", "ls"),
            [
                "response.output_item.added",
                "response.custom_tool_call_input.delta",
                "response.custom_tool_call_input.done",
                "response.output_item.done",
            ],
        ),
    ],
    ids=["summary", "raw", "refusal", "code", "mcp", "web search", "custom call"],
)
def test_each_move_has_its_events(serve, connect, move, names):
    events = played(connect(serve(lambda _: [move])))
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        *names,
        "response.completed",
    ]


def test_citations_stand_at_their_places(serve, connect):
    pieces = ("Cake", cite("file-1"), " ", cite(url="https://a.b", title="A"), link("file-2"))
    caller = connect(serve(lambda _: [say(*pieces)]))
    (message,) = played(caller)[-1].response.output
    (part,) = message.content
    assert part.text == "Cake ([A](https://a.b))sandbox:/mnt/data/file"
    file, page, made = part.annotations
    assert (file.file_id, file.index) == ("file-1", 4)
    assert part.text[page.start_index : page.end_index] == "([A](https://a.b))"
    assert (page.url, page.title) == ("https://a.b", "A")
    assert part.text[made.start_index : made.end_index] == "sandbox:/mnt/data/file"
    with pytest.raises(ValueError, match="either a file_id or a url"):
        cite("file-1", url="https://a.b")


def test_results_come_only_if_they_are_included(serve, connect):
    found = FileSearchResult("file-1", "a.txt", 0.5, (FileSearchResultContent("text", "words"),))
    caller = connect(serve(lambda _: [search(found), web_search("tea", "https://a.b")]))
    files, pages = played(caller)[-1].response.output
    assert (files.queries, files.results) == (("hi",), ())
    assert "sources" not in pages.action
    include = ["file_search_call.results", "web_search_call.action.sources"]
    files, pages = played(caller, include=include)[-1].response.output
    (result,) = files.results
    assert (result["file_id"], result["text"]) == ("file-1", "words")
    assert pages.action["sources"] == [{"type": "url", "url": "https://a.b"}]


def test_thoughts_are_encrypted_if_they_are_included(serve, connect):
    caller = connect(serve(lambda _: [think("so")]))
    (thought,) = played(caller)[-1].response.output
    assert thought.encrypted_content is None
    (thought,) = played(caller, include=["reasoning.encrypted_content"])[-1].response.output
    assert thought.encrypted_content


def test_items_overlap(serve, connect):
    def script(_):
        outputs = yield together(say("a", "b"), think("c", "d"), call("f"), custom_call("g", "x"))
        yield say(*outputs)

    caller = connect(serve(script))
    events = played(caller)
    places = [event.output_index for event in events if hasattr(event, "output_index")]
    assert places[:8] == [0, 1, 2, 3, 0, 1, 2, 3]
    output = events[-1].response.output
    assert [item.type for item in output] == [
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
    ]
    given = [
        {"type": "function_call_output", "call_id": output[2].call_id, "output": "one "},
        {"type": "custom_tool_call_output", "call_id": output[3].call_id, "output": "two"},
    ]
    second = played(caller, input=given, previous_response_id=events[-1].response.id)[-1]
    assert second.response.output_text == "one two"


def test_calls_of_an_mcp_server_wait_for_approval(serve, connect):
    def script(_):
        yes, no = yield [mcp("read", {"a": 1}, output="text"), mcp("write")]
        yield say(f"{yes.approve} {no.approve}")

    caller = connect(serve(script))
    first = played(caller)[-1].response
    asked = first.output
    assert [item.type for item in asked] == ["mcp_approval_request"] * 2
    given = [
        {"type": "mcp_approval_response", "approval_request_id": item.id, "approve": approve}
        for item, approve in zip(asked, (True, False), strict=True)
    ]
    made, message = played(caller, input=given, previous_response_id=first.id)[-1].response.output
    assert (made.name, made.arguments, made.output) == ("read", '{"a":1}', "text")
    assert made.approval_request_id == asked[0].id
    assert message.text == "True False"


@pytest.mark.parametrize(
    "move", [expire(), say(image("file-1")), "x", [], [say("a")], together("x")]
)
def test_what_is_no_move_of_a_response_fails_it(serve, connect, move):
    response = create(connect(serve(lambda _: [move])))
    assert response["status"] == "failed"
    which = response["error"]["message"].partition("which ")[2]
    assert which in {"is no move", "the Responses protocol does not have"}


@pytest.mark.parametrize(
    "move",
    [think("x"), custom_call("x"), web_search("x"), together(say("x")), say(cite(url="x"))],
)
def test_what_the_assistants_protocol_does_not_have_fails_a_run(perform, move):
    run = perform(lambda _: [move])[-2].data
    assert run.status == "failed"
    assert "which the Assistants protocol does not have" in run.last_error.message


def test_a_response_ends_as_its_script_says(serve, connect):
    def script(turn):
        if turn.text == "raise":
            raise RuntimeError
        yield fail("x", "y") if turn.text == "fail" else incomplete()

    caller = connect(serve(script))
    ended = create(caller, input="incomplete")
    assert ended["status"] == "incomplete"
    assert ended["incomplete_details"] == {"reason": "max_output_tokens"}
    assert create(caller, input="fail")["error"] == {"code": "x", "message": "y"}
    raised = create(caller, input="raise")
    assert raised["error"]["message"] == "The script raised RuntimeError: "
    assert kinds(stream(caller, input="fail"))[2:] == ["error", "response.failed"]


def test_a_script_asks_in_words_of_no_protocol(serve, connect):
    turns = []

    def script(turn):
        turns.append(turn)
        yield say("yes")

    caller = connect(serve(script))
    tools = [
        {"type": "function", "name": "f", "parameters": {"type": "object"}},
        {"type": "web_search"},
    ]
    choice = {"type": "function", "name": "f"}
    first = create(caller, instructions="Be brief.", tools=tools, tool_choice=choice)
    create(caller, input="and now?", previous_response_id=first["id"], parallel_tool_calls=False)
    one, two = turns
    assert (one.text, one.instructions, one.tools) == (
        "hi",
        "Be brief.",
        {"function", "web_search"},
    )
    assert [each.name for each in one.functions] == ["f"]
    assert (one.tool_choice, one.chosen, one.parallel) == ("function", "f", True)
    assert [(each.role, each.text) for each in two.messages] == [
        ("user", "hi"),
        ("assistant", "yes"),
        ("user", "and now?"),
    ]
    assert (two.instructions, two.tool_choice, two.parallel) == ("", "auto", False)
    assert one.run.id == first["id"]
    for name in ("assistant", "thread"):
        with pytest.raises(LookupError, match=f"a response has no {name}"):
            getattr(one, name)


def test_a_choice_of_allowed_tools_leaves_the_others_out(serve, connect):
    turns = []

    def script(turn):
        turns.append(turn)
        yield say("yes")

    tools = [{"type": "function", "name": name} for name in "fg"]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [tools[1]]}
    create(connect(serve(script)), tools=tools, tool_choice=choice)
    create(connect(serve(script)), tools=tools, tool_choice={**choice, "tools": 5})
    assert [[each.name for each in turn.functions] for turn in turns] == [["g"], []]
    assert [(turn.tool_choice, turn.chosen) for turn in turns] == [("required", None)] * 2


def test_the_default_script_calls_and_answers(serve, connect):
    caller = connect(serve())
    tools = [{"type": "function", "name": "get_weather"}]
    first = create(caller, input="How is the weather?", tools=tools)
    (asked,) = first["output"]
    output = {"type": "function_call_output", "call_id": asked["call_id"], "output": "sunny"}
    second = create(caller, input=[output], previous_response_id=first["id"])
    assert "get_weather answered: sunny" in second["output"][0]["content"][0]["text"]
    call_of = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "windy"}
    alone = create(caller, input=[call_of, output])
    assert "f answered: windy" in alone["output"][0]["content"][0]["text"]


def test_the_default_script_fits_a_schema(serve, connect, perform):
    schema = {"type": "object", "properties": {"city": {"enum": ["Lima", "Oslo"]}}}
    text = {"format": {"type": "json_schema", "name": "place", "schema": schema}}
    response = create(connect(serve()), input="What of Oslo?", text=text)
    assert response["output"][0]["content"][0]["text"] == '{"city":"Oslo"}'
    described = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    events = perform(None, "What of Oslo?", response_format=described)
    (message,) = [event.data for event in events if event.event == "thread.message.completed"]
    assert message.text == '{"city":"Oslo"}'


@pytest.mark.parametrize(
    ("again", "message"),
    [
        ("stop", "The script raised RuntimeError: it asked for less than the first time"),
        ("raise", "The script raised RuntimeError: so"),
    ],
)
def test_a_script_that_differs_when_it_is_played_again_fails(serve, connect, again, message):
    ways = ["call", again]

    def script(_):
        way = ways.pop(0)
        if way == "raise":
            msg = "so"
            raise RuntimeError(msg)
        if way == "call":
            output = yield call("f")
            yield say(output)

    caller = connect(serve(script))
    first = create(caller)
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"]}
    body = {"input": [{**output, "output": "x"}], "previous_response_id": first["id"]}
    assert create(caller, **body)["status"] == "completed"
    assert create(caller, **body)["error"]["message"] == message


# --- background ------------------------------------------------------------------------------


def test_a_background_response_continues_without_a_client(serve, connect):
    service = serve(lambda _: [say("a", "b", "c")], token_delay=0.01)
    caller = connect(service)
    body = {"model": "m", "input": "hi", "stream": True, "background": True}
    with caller.http.stream("POST", "/responses", json=body) as answer:
        first = next(answer.iter_bytes())
    decoder = EventDecoder()
    response_id = next(iter(decoder.feed(first))).response.id
    service.wait_for(lambda: caller.get(f"/responses/{response_id}")["status"] == "completed")
    events = read_again(caller, response_id)
    assert kinds(events)[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert events[-1].response.output_text == "abc"


def test_letters_that_say_nothing_come_unless_they_are_not_wanted(serve, connect):
    caller = connect(serve(lambda _: [say("a", "b")]))
    events = stream(caller, background=True)
    deltas = [event for event in events if event.is_delta]
    assert all(len(event.delta) + len(event.obfuscation) == 16 for event in deltas)
    assert read_again(caller, events[0].response.id) == events
    plain = read_again(caller, events[0].response.id, include_obfuscation="false")
    assert [event.obfuscation for event in plain if event.is_delta] == [None, None]
    options = {"include_obfuscation": False}
    plain = stream(caller, stream_options=options)
    assert [event.obfuscation for event in plain if event.is_delta] == [None, None]


def test_only_what_is_kept_can_be_read_again(serve, connect):
    service = serve(lambda _: [say("a")], kept_logs=1)
    caller = connect(service)

    def refused(response_id, status, **query):
        query = {"stream": "true", **query}
        return caller.refused("GET", f"/responses/{response_id}", status=status, query=query)

    foreground = create(caller)["id"]
    assert "not created with background=true" in refused(foreground, 400)["message"]
    first, second = (stream(caller, background=True)[0].response.id for _ in range(2))
    assert refused(first, 409)["code"] == "events_evicted"
    assert read_again(caller, second, starting_after=99) == []
    assert refused(second, 400, starting_after="x")["param"] == "starting_after"
    assert refused("resp_x", 404)["message"] == "No response found with id 'resp_x'."
    wrong = {"stream": "maybe"}
    assert caller.refused("GET", f"/responses/{second}", query=wrong)["param"] == "stream"
    closed = connect(serve(lambda _: [say("a")], resume_window=0))
    late = stream(closed, background=True)[0].response.id
    error = closed.refused("GET", f"/responses/{late}", query={"stream": "true"})
    assert error["message"].endswith("it is more than 0 minutes old.")


def test_a_background_response_is_cancelled(serve, connect):
    closed = []

    def script(turn):
        try:
            yield from endless(turn)
        finally:
            closed.append(True)

    service = serve(script)
    caller = connect(service)
    begun = create(caller, background=True)
    path = f"/responses/{begun['id']}"
    service.wait_for(lambda: caller.get(path)["status"] == "in_progress")
    assert caller.post(f"{path}/cancel")["status"] == "cancelled"
    assert caller.get(path)["status"] == "cancelled"
    assert caller.post(f"{path}/cancel")["status"] == "cancelled"
    names = kinds(read_again(caller, begun["id"]))
    assert not {"response.completed", "response.failed", "response.cancelled"} & set(names)
    service.wait_for(lambda: closed)
    assert service.active_runs == frozenset()


def test_only_a_background_response_that_is_not_finished_is_cancelled(serve, connect):
    caller = connect(serve(lambda _: [say("a")]))
    path = f"/responses/{create(caller)['id']}/cancel"
    assert caller.refused("POST", path)["message"] == "Cannot cancel a synchronous response."
    response = stream(caller, background=True)[-1].response
    error = caller.refused("POST", f"/responses/{response.id}/cancel")
    assert error["message"] == "Cannot cancel a response with status 'completed'."
    assert caller.refused("POST", "/responses/resp_x/cancel", status=404)


def test_a_background_response_is_deleted_while_it_works(serve, connect):
    service = serve(endless)
    caller = connect(service)
    begun = create(caller, background=True)
    assert caller.delete(f"/responses/{begun['id']}") == {
        "id": begun["id"],
        "object": "response",
        "deleted": True,
    }
    service.wait_for(lambda: not service.active_runs)
    caller.refused("GET", f"/responses/{begun['id']}", status=404)


def test_what_a_restart_interrupts_has_failed(serve, connect, tmp_path):
    first = serve(endless, database=tmp_path / "state.db")
    begun = create(connect(first), background=True)
    first.close()
    caller = connect(serve(database=tmp_path / "state.db"))
    response = caller.get(f"/responses/{begun['id']}")
    assert response["status"] == "failed"
    assert response["error"]["message"] == "The service was restarted."
    query = {"stream": "true"}
    error = caller.refused("GET", f"/responses/{begun['id']}", status=409, query=query)
    assert error["code"] == "events_evicted"


def test_a_service_that_ends_closes_its_scripts(serve, connect):
    closed = []

    def script(turn):
        try:
            if turn.text == "call":
                yield call("f")
            yield from endless(turn)
        finally:
            closed.append(turn.text)

    service = serve(script)
    caller = connect(service)
    create(caller, input="call")
    begun = create(caller, input="background", background=True)
    path = f"/responses/{begun['id']}"
    service.wait_for(lambda: caller.get(path)["status"] == "in_progress")
    body = {"model": "m", "input": "stream", "stream": True}
    with caller.http.stream("POST", "/responses", json=body) as answer:
        pieces = answer.iter_bytes()
        next(pieces)
        service.close()
        with pytest.raises(httpx.RemoteProtocolError):
            deque(pieces, maxlen=0)
    assert sorted(closed) == ["background", "call", "stream"]


def test_a_restart_forgets_the_script_but_not_what_it_asked_for(serve, connect, tmp_path):
    options = {"database": tmp_path / "state.db"}
    first = serve(lambda _: [call("f")], **options)
    caller = connect(first)
    conversation_id = caller.post("/conversations")["id"]
    asked = create(caller, conversation=conversation_id)
    first.close()
    caller = connect(serve(**options))
    assert caller.get(f"/responses/{asked['id']}") == asked
    call_id = asked["output"][0]["call_id"]
    output = {"type": "function_call_output", "call_id": call_id, "output": "x"}
    for place in ({"conversation": conversation_id}, {"previous_response_id": asked["id"]}):
        after = create(caller, input=[output], **place)
        assert "f answered: x" in after["output"][0]["content"][0]["text"]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_foreground_response_stops_when_its_client_leaves(serve, connect, streamed):
    service = serve(endless)
    caller = connect(service)
    body = {"model": "m", "input": "hi", "stream": streamed}
    if streamed:
        with caller.http.stream("POST", "/responses", json=body) as answer:
            next(answer.iter_bytes())
    else:
        with pytest.raises(httpx.ReadTimeout):
            caller.http.post("/responses", json=body, timeout=0.2)
    service.wait_for(lambda: service.runs and not service.active_runs)
    caller.refused("GET", f"/responses/{service.runs[0]}", status=404)


# --- conversations ---------------------------------------------------------------------------


def items_of(caller, conversation_id, **query):
    query = {"order": "asc", **query}
    return caller.get(f"/conversations/{conversation_id}/items", **query)["data"]


def test_a_conversation_grows_by_responses(serve, connect):
    caller = connect(serve(lambda turn: [say(f"{len(turn.messages)} so far")]))
    given = [{"role": "user", "content": "before"}]
    conversation_id = caller.post("/conversations", items=given, metadata={"a": "b"})["id"]
    first = create(caller, conversation=conversation_id)
    assert first["conversation"] == {"id": conversation_id}
    assert first["output"][0]["content"][0]["text"] == "2 so far"
    create(caller, conversation={"id": conversation_id})
    texts = [item["content"][0]["text"] for item in items_of(caller, conversation_id)]
    assert texts == ["before", "hi", "2 so far", "hi", "4 so far"]
    after = create(caller, input="next", previous_response_id=first["id"])
    assert after["output"][0]["content"][0]["text"] == "6 so far"


@pytest.mark.parametrize("foundry", [False, True])
def test_items_appear_when_the_response_has_ended_and_no_other_one_may_begin(
    serve, connect, foundry
):
    service = serve(lambda _: [say("a"), *[wait(0.01)] * 20, say("b")], foundry=foundry)
    status = 409 if foundry else 400
    caller = connect(service)
    conversation_id = caller.post("/conversations")["id"]
    begun = create(caller, conversation=conversation_id, background=True)
    assert items_of(caller, conversation_id) == []
    body = {"model": "m", "input": "x", "conversation": conversation_id}
    error = caller.refused("POST", "/responses", body=body, status=status)
    assert error["code"] == "conversation_locked"
    path = f"/conversations/{conversation_id}"
    more = {"items": [{"role": "user", "content": "x"}]}
    for method, address, body in (("POST", f"{path}/items", more), ("DELETE", path, None)):
        error = caller.refused(method, address, body=body, status=status)
        assert error["code"] == "conversation_locked"
    service.wait_for(lambda: caller.get(f"/responses/{begun['id']}")["status"] == "completed")
    assert len(items_of(caller, conversation_id)) == 3


def test_conversations_and_their_items_are_changed_and_deleted(serve, connect):
    caller = connect(serve())
    path = f"/conversations/{caller.post('/conversations', metadata={'a': 'b'})['id']}"
    assert caller.get(path)["metadata"] == {"a": "b"}
    assert caller.post(path, metadata={"c": "d"})["metadata"] == {"c": "d"}
    messages = [{"role": "user", "content": str(number)} for number in range(21)]
    assert caller.refused("POST", f"{path}/items", body={"items": messages})["param"] == "items"
    page = caller.post(f"{path}/items", items=messages[:20])
    assert [item["content"][0]["text"] for item in page["data"]] == list(map(str, range(20)))
    item_id = page["first_id"]
    assert caller.get(f"{path}/items/{item_id}")["id"] == item_id
    assert caller.delete(f"{path}/items/{item_id}")["object"] == "conversation"
    caller.refused("GET", f"{path}/items/{item_id}", status=404)
    assert len(caller.get(f"{path}/items", limit=100)["data"]) == 19
    assert caller.delete(path)["object"] == "conversation.deleted"
    caller.refused("GET", f"{path}/items", status=404)
    body = {"items": messages}
    assert caller.refused("POST", "/conversations", body=body)["code"] == "array_above_max_length"


# --- other requests --------------------------------------------------------------------------


def test_ids_are_chosen_where_that_is_allowed(serve, connect):
    caller = connect(serve(lambda _: [say("a")], foundry=True))
    body = {"model": "m", "input": "hi"}
    headers = {"x-agent-response-id": "resp_mine"}
    assert caller.http.post("/responses", json=body, headers=headers).json()["id"] == "resp_mine"
    again = caller.http.post("/responses", json=body, headers=headers)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "response_id_conflict")
    assert create(caller, response_id="resp_other")["id"] == "resp_other"
    usual = connect(serve(lambda _: [say("a")]))
    assert usual.http.post("/responses", json=body, headers=headers).json()["id"] != "resp_mine"
    error = usual.refused("POST", "/responses", body={**body, "response_id": "resp_other"})
    assert error["code"] == "unknown_parameter"


def test_a_history_is_counted_and_compacted(serve, connect):
    caller = connect(serve(lambda _: [say("one two")]))
    assert caller.post("/responses/input_tokens", input="one two three") == {
        "object": "response.input_tokens",
        "input_tokens": 3,
    }
    first = create(caller)
    small = caller.post("/responses/compact", model="m", previous_response_id=first["id"])
    assert small["object"] == "response.compaction"
    assert [item["type"] for item in small["output"]] == ["message", "compaction"]
    after = create(caller, input=[*small["output"], {"role": "user", "content": "and?"}])
    assert after["status"] == "completed"


def test_input_items_are_listed_in_pages(serve, connect):
    caller = connect(serve(lambda _: [say("a")]))
    given = [{"role": "user", "content": text} for text in "abc"]
    path = f"/responses/{create(caller, input=given)['id']}/input_items"
    page = caller.get(path, limit=2, order="asc")
    assert [item["content"][0]["text"] for item in page["data"]] == ["a", "b"]
    assert page["has_more"]
    rest = caller.get(path, order="asc", after=page["last_id"])
    assert [item["content"][0]["text"] for item in rest["data"]] == ["c"]


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 1}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"content": "x"}]}, "input[0].type"),
        ({"input": [{"type": "poem"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [{**CALL, "arguments": None}]}, "input[0].arguments"),
        ({"input": [{**CALL, "call_id": 5}]}, "input[0].call_id"),
        ({"input": [{**CALL, "call_id": {}}]}, "input[0].call_id"),
        ({"input": [{**OUTPUT, "output": 5}]}, "input[0].output"),
        ({"input": [{**OUTPUT, "id": 5}]}, "input[0].id"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]},
            "input[0].content[0].text",
        ),
        (
            {
                "input": [
                    {
                        "type": "mcp_approval_response",
                        "approval_request_id": "x",
                        "approve": "yes",
                    }
                ]
            },
            "approve",
        ),
        ({"input": [CALL]}, "input"),
        ({"input": [OUTPUT]}, "input"),
        ({"tools": "x"}, "tools"),
        ({"tools": [{"type": "hammer"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 1}, "max_output_tokens"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"reasoning": "x"}, "reasoning"),
        ({"text": "x"}, "text"),
        ({"truncation": "x"}, "truncation"),
        ({"include": ["x"]}, "include[0]"),
        ({"include": "x"}, "include"),
        ({"stream": "x"}, "stream"),
        ({"background": "x"}, "background"),
        ({"store": "x"}, "store"),
        ({"stream_options": "x"}, "stream_options"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
        ({"previous_response_id": "resp_x", "conversation": "conv_x"}, None),
        ({"conversation": 5}, "conversation"),
        ({"conversation": {}}, "conversation.id"),
        ({"poem": "x"}, "poem"),
        ({"messages": []}, "messages"),
    ],
    ids=str,
)
def test_wrong_requests_are_refused_in_words(serve, connect, body, param):
    caller = connect(serve())
    error = caller.refused("POST", "/responses", body={"model": "m", "input": "hi", **body})
    assert error["param"] == param
    assert error["message"]


def test_an_unknown_conversation_is_not_found(serve, connect):
    body = {"model": "m", "input": "hi", "conversation": "conv_x"}
    error = connect(serve()).refused("POST", "/responses", body=body, status=404)
    assert error["message"] == "Conversation with id 'conv_x' not found."


def test_an_item_may_be_referred_to(serve, connect):
    def script(_):
        output = yield call("f")
        yield say(output)

    caller = connect(serve(script))
    first = create(caller)
    (message,) = caller.get(f"/responses/{first['id']}/input_items")["data"]
    (asked,) = first["output"]
    given = [{"type": "item_reference", "id": item["id"]} for item in (message, asked)]
    given.append({**OUTPUT, "call_id": asked["call_id"]})
    second = create(caller, input=given)
    assert second["output"][0]["content"][0]["text"] == "x"
    listed = caller.get(f"/responses/{second['id']}/input_items", order="asc")["data"]
    assert [item["type"] for item in listed] == ["message", "function_call", "function_call_output"]
    body = {"model": "m", "input": [{"type": "item_reference", "id": "fc_x"}]}
    error = caller.refused("POST", "/responses", body=body, status=404)
    assert error["message"].startswith("Item with id 'fc_x' not found.")


def test_nulls_in_items_mean_nothing(serve, connect):
    item = {"id": None, "type": None, "role": "user", "content": "hi", "status": None}
    caller = connect(serve(lambda turn: [say(turn.text)]))
    (stored,) = caller.get(f"/responses/{create(caller, input=[item])['id']}/input_items")["data"]
    assert stored["id"].startswith("msg_")
    assert (stored["type"], stored["status"]) == ("message", "completed")


def test_both_protocols_are_spoken_on_one_port(serve, connect):
    caller = connect(serve(lambda turn: [say(turn.text)]))
    assert create(caller)["output"][0]["content"][0]["text"] == "hi"
    run = caller.perform("hello")[-2].data
    assert run.status == "completed"
