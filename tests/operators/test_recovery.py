"""A stream that is lost goes on with what is stored: when it asks, what it emits, how it ends."""

import logging

import pytest
import reactivex as rx
from reactivex import Subject
from reactivex.internal import SequenceContainsNoElementsError

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    DecodeError,
    EventTooLargeError,
    NotFoundError,
    RunOutcomeUnknown,
    StreamDiverged,
    StreamTruncated,
    status_error,
)
from rxassist.events import DoneEvent
from rxassist.operators import recover
from rxassist.testing import Marbles

RESET = APIConnectionError("reset by peer")
LOST = [RESET, APITimeoutError("no byte for 30 s"), StreamTruncated("the body ended in an event")]
IN_VAIN = [  # nothing that a recovery could help with
    RunOutcomeUnknown("thread_1", "reset by peer"),
    DecodeError("thread.run.queued", "$", [], "an object"),
    EventTooLargeError(10),
    NotFoundError("No thread found", status_code=404),
    LookupError("ours"),
]
PASSING = [RESET, LOST[1], *(status_error("", status_code=code) for code in (408, 409, 429, 503))]
FINAL = [status_error("", status_code=code) for code in (400, 401, 403)]
NOT_FOUND = status_error("", status_code=404)


@pytest.fixture
def letters(said):
    """The events of a run that says ``AB`` and completes, and what is stored of it."""
    more = {"thread_id": "thread_1", "created_at": 1}
    began = {**more, "started_at": 2}
    written = {"run_id": "run_1", **more}
    creation = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    wrote = {"run_id": "run_1", "step_details": creation, **more}
    events = {
        "k": said.run("queued", "created", **more),
        "q": said.run("queued", **more),
        "p": said.run("in_progress", **began),
        "s": said.step("in_progress", name="created", **wrote),
        "i": said.step("in_progress", **wrote),
        "m": said.message("in_progress", name="created", **written),
        "w": said.message("in_progress", **written),
        "t": said.delta("A"),
        "u": said.delta("B"),
        "x": said.delta("AB"),
        "n": said.message("completed", "AB", **written),
        "z": said.step("completed", **wrote),
        "c": said.run("completed", **began),
        "a": said.run("requires_action", **began),
        "d": DoneEvent(),
    }
    stored = {"P": "p", "C": "c", "A": "a", "Z": "z", "N": "n"}
    return {**events, **{name: events[letter].data for name, letter in stored.items()}}


class Service:
    """Answers each question with the next of some diagrams or errors, and then with the last."""

    def __init__(self, marbles, run="(C|)", steps="|", messages="|"):
        self.marbles = marbles
        self.answers = {"run": run, "steps": steps, "messages": messages}
        self.asked = []
        self.sources = []

    def functions(self):
        return [self._answering(name) for name in self.answers]

    def _answering(self, name):
        given = self.answers[name]
        left = list(given) if isinstance(given, list | tuple) else [given]

        def ask(thread_id, run_id):
            assert (thread_id, run_id) == ("thread_1", "run_1")
            self.asked.append((int(self.marbles.scheduler.clock), name))
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                return rx.throw(answer)
            source = self.marbles.cold(answer)
            self.sources.append(source)
            return source

        return ask

    def when(self, name):
        """The ticks at which something was asked."""
        return [tick for tick, asked in self.asked if asked == name]


@pytest.fixture(params=[False, True], ids=["folds", "keeps"])
def recovering(request):
    """``recover`` of a service, in both of its ways to remember."""

    def make(service, **options):
        return recover(*service.functions(), keeps_events=request.param, **options)

    return make


# --- what is emitted -----------------------------------------------------------------------


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks(letters, recovering, error):
    marbles = Marbles(error, **letters)
    service = Service(marbles, steps="(Z|)", messages="(N|)")
    source = marbles.cold("-k-q-p-s-i-m-t-#")
    assert marbles.run(source.pipe(recovering(service))) == "-k-q-p-s-i-m-t-(unzcd|)"
    assert source.subscriptions == ["^--------------!"]
    assert service.asked == [(15, "run"), (15, "steps"), (15, "messages")]


def test_a_body_that_just_ends(letters, recovering):
    marbles = Marbles(**letters)
    service = Service(marbles, steps="(Z|)", messages="(N|)")
    source = marbles.cold("-k-q-|")
    assert marbles.run(source.pipe(recovering(service))) == "-k-q-(psimwxnzcd|)"


def test_a_run_that_waits_for_you(letters, recovering):
    marbles = Marbles(RESET, **letters)
    source = marbles.cold("-k-q-#")
    assert marbles.run(source.pipe(recovering(Service(marbles, "(A|)")))) == "-k-q-(pad|)"


def test_a_stream_that_is_not_lost_asks_nothing(letters, recovering):
    marbles = Marbles(**letters)
    service = Service(marbles)
    source = marbles.cold("-k-q-p-c-d-|")
    assert marbles.run(source.pipe(recovering(service))) == "-k-q-p-c-d-|"
    assert service.asked == []


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_after_the_end_asks_nothing(letters, recovering, error):
    marbles = Marbles(error, **letters)
    service = Service(marbles)
    source = marbles.cold("-k-c-#")
    assert marbles.run(source.pipe(recovering(service))) == "-k-c-|"
    assert service.asked == []


@pytest.mark.parametrize("error", IN_VAIN, ids=lambda error: type(error).__name__)
def test_any_other_error_passes_as_it_is(letters, recovering, error):
    marbles = Marbles(error, **letters)
    service = Service(marbles)
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(service))) == "-k-#"
    assert marbles.errors == [error]
    assert service.asked == []


def test_a_request_that_was_never_sent(letters, recovering):
    refused = APIConnectionError("connection refused", sent=False)
    marbles = Marbles(refused, **letters)
    service = Service(marbles)
    known = recovering(service, thread_id="thread_1", run_id="run_1")
    assert marbles.run(marbles.cold("--#").pipe(known)) == "--#"
    assert marbles.errors == [refused]
    assert service.asked == []


def test_an_error_event_passes_as_it_is(said, letters, recovering):
    marbles = Marbles(e=said.error("Sorry."), **letters)
    service = Service(marbles)
    assert marbles.run(marbles.cold("-k-e-d|").pipe(recovering(service))) == "-k-(e#)"
    assert type(marbles.errors[0]) is APIError
    assert service.asked == []


def test_lists_are_told_oldest_first_and_else_as_they_are_listed(said, recovering):
    def created(id_, second):
        written = {"id": id_, "run_id": "run_1", "created_at": second}
        return said.message("completed", **written).data

    letters = {"K": said.run("completed", thread_id="thread_1").data}
    seconds = {"E": 3, "F": 1, "G": 2, "H": 2}
    letters |= {name: created(name, second) for name, second in seconds.items()}
    marbles = Marbles(RESET, k=said.run("queued", "created", thread_id="thread_1"), **letters)
    service = Service(marbles, "(K|)", messages="(EFGH|)")
    recording = marbles.watch(marbles.cold("-k-#").pipe(recovering(service)))
    marbles.start()
    told = [event.data.id for event in recording.values if event.event.endswith("e.created")]
    assert told == ["F", "G", "H", "E"]


# --- which run -----------------------------------------------------------------------------


def test_a_run_that_nobody_told_of_cannot_be_recovered(said, letters, recovering):
    marbles = Marbles(RESET, y=said.event("thread.created", {"id": "thread_1"}), **letters)
    service = Service(marbles)
    assert marbles.run(marbles.cold("-y-#").pipe(recovering(service))) == "-y-#"
    (error,) = marbles.errors
    assert isinstance(error, StreamTruncated)
    assert error.__cause__ is RESET
    assert service.asked == []


def test_a_step_or_a_message_tells_the_run_too(letters, recovering):
    for told in "sm":
        marbles = Marbles(RESET, **letters)
        service = Service(marbles, steps="(Z|)", messages="(N|)")
        assert marbles.run(marbles.cold(f"-{told}-#").pipe(recovering(service))).endswith("cd|)")


def test_a_run_that_is_known_beforehand(letters, recovering):
    marbles = Marbles(RESET, **letters)
    known = recovering(Service(marbles), thread_id="thread_1", run_id="run_1")
    assert marbles.run(marbles.cold("--#").pipe(known)) == "--(kqpcd|)"


def test_a_run_that_goes_on_with_outputs(said, letters, recovering):
    step = said.step("completed", said.call("call_1"), run_id="run_1", thread_id="thread_1")
    marbles = Marbles(RESET, y=step, Y=step.data, **letters)
    service = Service(marbles, steps="(Y|)")
    goes_on = recovering(service, thread_id="thread_1", run_id="run_1", submitted=["call_1"])
    assert marbles.run(marbles.cold("--#").pipe(goes_on)) == "--(yqpcd|)"


# --- when it asks --------------------------------------------------------------------------


def test_it_polls_until_the_run_has_settled(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, ["(P|)", "(P|)", "-(P|)", "(C|)"])
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service, interval=3))
    assert marbles.run(piped) == "-k-q-p-----------(cd|)"
    assert service.when("run") == [7, 10, 13, 17]
    assert service.asked[-2:] == [(17, "steps"), (17, "messages")]


def test_it_polls_every_second_by_default(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, ["(P|)", "(P|)", "(C|)"])
    assert marbles.run(marbles.cold("-k-q-#").pipe(recovering(service))) == "-k-q---(pcd|)"
    assert service.when("run") == [5, 6, 7]


def test_it_asks_one_after_the_other(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, "--(C|)", "-----(Z|)", "---(N|)")
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-----------(simwxnzcd|)"
    assert service.asked == [(7, "run"), (9, "steps"), (14, "messages")]


@pytest.mark.parametrize("error", PASSING, ids=str)
@pytest.mark.parametrize("asked", ["run", "steps", "messages"])
def test_what_passes_is_asked_again(letters, recovering, asked, error):
    marbles = Marbles(RESET, **letters)
    whole = {"run": "(C|)", "steps": "(Z|)", "messages": "(N|)"}
    service = Service(marbles, **{**whole, asked: [error, error, whole[asked]]})
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service, interval=2))
    assert marbles.run(piped) == "-k-q-p-----(simwxnzcd|)"
    assert service.when(asked) == [7, 9, 11]


def test_a_list_that_breaks_in_the_middle_is_asked_for_whole(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, steps="(Z|)", messages=["N-#", "(N|)"])
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p----(simwxnzcd|)"


@pytest.mark.parametrize("asked", ["run", "steps", "messages"])
def test_patience_ends(letters, recovering, asked):
    """Then the subscriber is told how the stream was lost, and why that was not all."""
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, **{asked: status_error("Busy.", status_code=503)})
    piped = marbles.cold("-k-q-#").pipe(recovering(service, interval=2, patience=5))
    assert marbles.run(piped) == "-k-q------#"
    assert service.when(asked) == [5, 7, 9]
    (error,) = marbles.errors
    assert isinstance(error, StreamTruncated)
    assert error.__cause__ is RESET
    assert "recovery failed, too: no end within the deadline of 5 s" in error.__notes__[0]
    assert "HTTP 503: Busy." in error.__notes__[0]


def test_patience_ends_with_a_service_that_never_answers(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, steps="-")
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(service, patience=4))) == "-k-----#"
    assert service.sources[-1].subscriptions == ["---^---!"]
    assert isinstance(marbles.errors[0], StreamTruncated)


def test_patience_begins_anew_with_each_answer(letters, recovering):
    marbles = Marbles(RESET, **letters)
    broken = status_error("", status_code=500)
    service = Service(marbles, [broken, broken, "(P|)", broken, broken, "(C|)"])
    piped = marbles.cold("-k-q-#").pipe(recovering(service, patience=3))
    assert marbles.run(piped) == "-k-q------(pcd|)"
    assert service.when("run") == [5, 6, 7, 8, 9, 10]


def test_a_timeout_stays_a_timeout_when_patience_ends(letters, recovering):
    silence = APITimeoutError("no byte for 30 s")
    marbles = Marbles(silence, **letters)
    service = Service(marbles, RESET)
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(service, patience=2))) == "-k---#"
    assert marbles.errors == [silence]
    assert "reset by peer" in silence.__notes__[-1]


@pytest.mark.parametrize("error", FINAL, ids=str)
@pytest.mark.parametrize("asked", ["run", "messages"])
def test_what_does_not_pass_ends_it_at_once(letters, recovering, asked, error):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, **{asked: error})
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(service))) == "-k-#"
    (told,) = marbles.errors
    assert isinstance(told, StreamTruncated)
    assert f"recovery failed, too: HTTP {error.status_code}" in told.__notes__[0]


def test_a_server_that_lists_no_steps(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, steps=NOT_FOUND, messages="(N|)")
    piped = marbles.cold("-k-q-p-s-i-m-t-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-s-i-m-t-(uncd|)"


# --- a store that lags ---------------------------------------------------------------------


def test_a_run_that_is_not_found_yet(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, [NOT_FOUND, NOT_FOUND, "(P|)", NOT_FOUND, "(C|)"])
    piped = marbles.cold("-k-q-#").pipe(recovering(service, patience=3))
    assert marbles.run(piped) == "-k-q-----(pcd|)"
    assert service.when("run") == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("asked", ["run", "messages"])
def test_what_is_never_found_is_lost(letters, recovering, asked):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, **{asked: NOT_FOUND})
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(service, patience=2))) == "-k---#"
    (told,) = marbles.errors
    assert isinstance(told, StreamTruncated)
    assert "HTTP 404" in told.__notes__[0]


@pytest.mark.parametrize("late", ["|", "(E|)", "(O|)", NOT_FOUND], ids=str)
def test_messages_that_come_late(said, letters, recovering, late):
    """None, one that is shorter than what was heard, one that grows, and no list at all."""
    written = {"run_id": "run_1", "thread_id": "thread_1"}
    shorter = said.message("in_progress", "", **written).data
    growing = said.message("in_progress", "AB", **written).data
    marbles = Marbles(RESET, E=shorter, O=growing, **letters)
    service = Service(marbles, steps="(Z|)", messages=[late, late, "(N|)"])
    piped = marbles.cold("-k-q-p-s-i-m-t-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-s-i-m-t---(unzcd|)"
    assert service.when("messages") == [15, 16, 17]


def test_steps_that_come_late(said, letters, recovering):
    grown = said.calls({"index": 0, **said.call("call_1", arguments="{}")})
    step = said.step("completed", said.call("call_1", arguments="{}"), run_id="run_1")
    marbles = Marbles(RESET, y=grown, e=step, E=step.data, **letters)
    service = Service(marbles, steps=["|", NOT_FOUND, "(E|)"])
    piped = marbles.cold("-k-q-p-y-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-y---(ecd|)"


def test_everything_that_a_run_wrote_comes_late(said, letters, recovering):
    wrote = said.run("completed", thread_id="thread_1", usage={"completion_tokens": 1})
    marbles = Marbles(RESET, e=wrote, E=wrote.data, **letters)
    service = Service(marbles, "(E|)", ["|", "(Z|)"], ["|", "(N|)"])
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p--(simwxnzed|)"


def test_a_message_that_never_comes_diverges(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, steps="(Z|)")
    piped = marbles.cold("-k-t-#").pipe(recovering(service, patience=2))
    assert marbles.run(piped) == "-k-t---#"
    (error,) = marbles.errors
    assert isinstance(error, StreamDiverged)
    assert (error.id, error.stored) == ("msg_1", None)


def test_a_message_that_never_ends_is_told_as_it_stands(said, letters, recovering):
    """Some servers never say that a message is finished."""
    growing = said.message("in_progress", "AB", run_id="run_1").data
    marbles = Marbles(RESET, O=growing, **letters)
    service = Service(marbles, steps="(Z|)", messages="(O|)")
    piped = marbles.cold("-k-t-#").pipe(recovering(service, patience=2))
    assert marbles.run(piped) == "-k-t---(uzcd|)"


# --- which run it is -----------------------------------------------------------------------


def test_done_alone_is_a_lost_connection(letters, recovering):
    """At every place of a run; servers that never tell of its end are found out so."""
    told = ["k", "q", "p", "s", "i", "m", "w", "t", "u", "n", "z"]
    for count in range(1, len(told) + 1):
        marbles = Marbles(**letters)
        service = Service(marbles, steps="(Z|)", messages="(N|)")
        heard, rest = told[:count], told[count:]
        if "t" in rest:  # nothing of the text was heard
            rest = [letter for letter in rest if letter != "u"]
            rest[rest.index("t")] = "x"
        source = marbles.cold(f"{'-'.join(heard)}-d")
        result = marbles.run(source.pipe(recovering(service)))
        assert result == f"{'-'.join(heard)}-({''.join(rest)}cd|)"
        assert service.when("run") == [2 * count]


def test_done_alone_of_a_run_that_nobody_told_of(letters, recovering):
    marbles = Marbles(**letters)
    service = Service(marbles)
    assert marbles.run(marbles.cold("-d-|").pipe(recovering(service))) == "-#"
    assert isinstance(marbles.errors[0], StreamTruncated)


def test_another_run_in_the_stream_is_not_recovered(said, letters, recovering):
    """Neither is its end the end of ours."""
    of_another = said.run("completed", id="run_2", thread_id="thread_2")
    marbles = Marbles(RESET, o=of_another, **letters)
    service = Service(marbles, steps="(Z|)", messages="(N|)")
    piped = marbles.cold("-k-q-p-o-d-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-o-(simwxnzcd|)"


def test_another_run_that_is_found_is_not_ours(said, letters, recovering):
    other = said.run("completed", id="run_2", thread_id="thread_1").data
    marbles = Marbles(RESET, O=other, **letters)
    service = Service(marbles, ["(O|)", "(O|)", "(C|)"])
    assert marbles.run(marbles.cold("-k-q-p-#").pipe(recovering(service))) == "-k-q-p---(cd|)"

    marbles = Marbles(RESET, O=other, **letters)
    service = Service(marbles, "(O|)")
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service, patience=2))
    assert marbles.run(piped) == "-k-q-p---#"
    (error,) = marbles.errors
    assert isinstance(error, StreamTruncated)
    assert "expected 'run_1', got 'run_2'" in error.__notes__[0]


def test_steps_of_another_run_are_not_told(said, letters, recovering):
    foreign = said.step("completed", id="step_2", run_id="run_2").data
    marbles = Marbles(RESET, F=foreign, **letters)
    service = Service(marbles, steps="(FZ|)", messages="(N|)")
    piped = marbles.cold("-k-q-p-#").pipe(recovering(service))
    assert marbles.run(piped) == "-k-q-p-(simwxnzcd|)"


# --- what goes wrong -----------------------------------------------------------------------


def test_text_that_is_not_continued(said, letters, recovering):
    marbles = Marbles(RESET, y=said.delta("X"), **letters)
    service = Service(marbles, steps="(Z|)", messages="(N|)")
    assert marbles.run(marbles.cold("-k-y-#").pipe(recovering(service))) == "-k-y-#"
    (error,) = marbles.errors
    assert isinstance(error, StreamDiverged)
    assert (error.id, error.streamed, error.stored) == ("msg_1", "X", "AB")


@pytest.mark.parametrize("broken", range(3))
def test_an_exception_of_a_function_is_the_error(letters, broken):
    def fail(*_):
        raise mistake

    mistake = LookupError("ours")
    marbles = Marbles(RESET, **letters)
    functions = Service(marbles).functions()
    functions[broken] = fail
    assert marbles.run(marbles.cold("-k-#").pipe(recover(*functions))) == "-k-#"
    assert marbles.errors == [mistake]


def test_a_run_that_is_not_given_is_an_error(letters, recovering):
    marbles = Marbles(RESET, **letters)
    assert marbles.run(marbles.cold("-k-#").pipe(recovering(Service(marbles, "|")))) == "-k-#"
    assert isinstance(marbles.errors[0], SequenceContainsNoElementsError)


def test_an_exception_of_the_subscriber_is_no_error(letters):
    """Neither of the events that are recovered."""

    class SubscriberError(Exception):
        pass

    def subscriber(event):
        if event.event == "done":
            raise SubscriberError

    source, run, steps, messages = (Subject() for _ in range(4))
    errors = []
    piped = source.pipe(recover(lambda *_: run, lambda *_: steps, lambda *_: messages))
    subscription = piped.subscribe(subscriber, errors.append)
    source.on_next(letters["k"])
    source.on_error(RESET)
    run.on_next(letters["C"])
    steps.on_completed()
    with pytest.raises(SubscriberError):
        messages.on_completed()
    subscription.dispose()
    assert errors == []


@pytest.mark.parametrize("options", [{"interval": -1}, {"patience": 0}, {"patience": -1}])
def test_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        recover(rx.empty, rx.empty, rx.empty, **options)


# --- subscriptions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "answers", "left"),
    [
        ("---!", {}, []),
        ("------!", {"run": "--(C|)"}, ["-----^!"]),
        ("-------!", {"run": "(P|)"}, ["-----(^!)"]),
        ("------!", {"steps": "--(Z|)"}, ["-----(^!)", "-----^!"]),
        ("------!", {"messages": "--(N|)"}, ["-----(^!)", "-----(^!)", "-----^!"]),
    ],
    ids=["streaming", "asking", "pausing", "steps", "messages"],
)
def test_to_dispose_frees_everything(letters, recovering, window, answers, left):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, **answers)
    source = marbles.cold("-k-q-#")
    piped = source.pipe(recovering(service, interval=4))
    assert marbles.run(piped, window) == ("-k" if window == "---!" else "-k-q")
    assert len(source.subscriptions) == 1
    assert source.subscriptions[0].endswith("!")
    assert service.when("run") == ([] if window == "---!" else [5])
    assert [diagram for asked in service.sources for diagram in asked.subscriptions] == left


def test_two_subscriptions_are_independent(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, ["(P|)", "(C|)"])
    piped = marbles.cold("-k-q-#").pipe(recovering(service))
    first, second = marbles.watch(piped), marbles.watch(piped, "---^")
    marbles.start()
    assert str(first) == "-k-q--(pcd|)"
    assert str(second) == "----k-q-(pcd|)"


def test_it_waits_on_its_own_scheduler_if_it_is_given_one(letters, recovering):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, ["(P|)", "(C|)"])
    seen = []
    piped = marbles.cold("k-#").pipe(recovering(service, scheduler=marbles.scheduler))
    piped.subscribe(seen.append)
    marbles.start()
    assert [event.event for event in seen][-2:] == ["thread.run.completed", "done"]
    assert service.when("run") == [2, 3]


def test_it_is_logged_with_the_run(letters, recovering, caplog):
    marbles = Marbles(RESET, **letters)
    service = Service(marbles, ["(P|)", RESET, "(C|)"])
    with caplog.at_level(logging.DEBUG, "rxassist"):
        marbles.run(marbles.cold("-k-#").pipe(recovering(service)))
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rxassist", "INFO")
    assert "run_1" in record.getMessage()
    assert "reset by peer" in record.getMessage()
