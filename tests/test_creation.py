"""How a run comes to be, in virtual time: one at most, on a thread that is free, in turn."""

import logging

import pytest
import reactivex as rx
from attrs import evolve
from reactivex import operators as ops

from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    DecodeError,
    EventTooLargeError,
    NotFoundError,
    RunOutcomeUnknown,
    StreamClosed,
    StreamTruncated,
    ThreadBusyError,
    WrongAnswerError,
    status_error,
)
from rxassist.events import DoneEvent
from rxassist.models import (
    FunctionCall,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    Run,
    SubmitToolApproval,
    SubmitToolOutputs,
)
from rxassist.protocols.assistants.outputs import outputs_once
from rxassist.reactive.queues import Queues, Waiting
from rxassist.runs.state import leaves_waiting
from rxassist.runs.streams.creation import Search, one_run, when_free
from rxassist.testing import Marbles

RUN = Run("run_1", thread_id="thread_1", status="in_progress")
RESET = APIConnectionError("reset by peer")
REFUSED = APIConnectionError("connection refused", sent=False)
BROKEN = status_error("Sorry.", status_code=500)
BUSY = status_error("Thread thread_1 already has an active run run_7.", status_code=400)
CUT = StreamTruncated("the body ended in the middle of an event")
MISSING = NotFoundError("No thread found", status_code=404)


class Tries:
    """A source that is another one each time: diagrams or errors, the last one for ever."""

    def __init__(self, marbles, *given):
        self.marbles = marbles
        self.left = list(given)
        self.ticks = []
        self.sources = []

    def next(self):
        self.ticks.append(int(self.marbles.scheduler.clock))
        given = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(given, Exception):
            return rx.throw(given)
        self.sources.append(self.marbles.cold(given))
        return self.sources[-1]

    @property
    def observable(self):
        return rx.defer(lambda _: self.next())

    @property
    def subscriptions(self):
        return [window for source in self.sources for window in source.subscriptions]


GATEWAY = [
    status_error(f"gateway {status}", status_code=status) for status in (502, 503, 504, 408, 429)
]
SAYS = [
    status_error(f"service {status}", status_code=status, of_service=True)
    for status in (500, 502, 504, 408)
]
GARBAGE = DecodeError("Run", "$", "<html>", "an object")
UNKNOWN = [
    *(BROKEN, *GATEWAY, *SAYS, GARBAGE),
    *(WrongAnswerError("HTTP 200 is no event stream but text/html"), EventTooLargeError(9)),
]
SAYS_NOT = [status_error("Later.", status_code=status, of_service=True) for status in (429, 503)]
REDIRECT = APIError("HTTP 302 redirects to nowhere")
KNOWN = [
    *(REFUSED, BUSY, MISSING, *SAYS_NOT, REDIRECT, LookupError("ours"), StreamClosed("left")),
    *(status_error(f"No: {status}", status_code=status) for status in (400, 401, 403, 409, 413)),
]


def begins(item):
    return item != "t"


def test_the_error_of_a_busy_thread_names_its_run():
    assert isinstance(BUSY, ThreadBusyError)
    assert BUSY.run_id == "run_7"


# --- one run, without a search -------------------------------------------------------------


def test_what_goes_well_passes():
    marbles = Marbles()
    tries = Tries(marbles, "-t-r-d|")
    assert marbles.run(tries.observable.pipe(one_run("thread_1", begins))) == "-t-r-d|"
    assert tries.ticks == [0]


@pytest.mark.parametrize("error", [RESET, APITimeoutError("silence"), CUT], ids=repr)
@pytest.mark.parametrize("before", ["", "t"])
def test_a_connection_that_breaks_before_a_run_is_told(error, before):
    marbles = Marbles(error)
    tries = Tries(marbles, f"-{before}-#")
    result = marbles.run(tries.observable.pipe(one_run("thread_1", begins)))
    assert result == f"-{before}-#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert (unknown.thread_id, unknown.__cause__) == ("thread_1", error)
    assert str(error) in str(unknown)
    assert tries.ticks == [0]


def test_a_body_that_ends_before_a_run_is_told():
    marbles = Marbles()
    assert marbles.run(marbles.cold("-t-|").pipe(one_run(None, begins))) == "-t-#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert isinstance(unknown.__cause__, StreamTruncated)
    assert unknown.thread_id is None


@pytest.mark.parametrize("diagram", ["-t-D", "-t-(D|)", "-t-D#"])
def test_done_before_a_run_is_told(diagram):
    """The connection may stay open behind it."""
    marbles = Marbles(RESET, D=DoneEvent())
    source = marbles.cold(diagram)
    assert marbles.run(source.pipe(one_run("thread_1", begins))) == "-t-#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert isinstance(unknown.__cause__, StreamTruncated)
    assert source.subscriptions == ["^--!"]


@pytest.mark.parametrize("error", [RESET, CUT], ids=repr)
def test_a_connection_that_breaks_after_a_run_was_told(error):
    marbles = Marbles(error)
    assert marbles.run(marbles.cold("-t-r-#").pipe(one_run("thread_1", begins))) == "-t-r-#"
    assert marbles.errors == [error]


@pytest.mark.parametrize("error", UNKNOWN, ids=repr)
def test_an_answer_that_is_no_word_of_the_service_leaves_the_run_unknown(error):
    marbles = Marbles(error)
    assert marbles.run(marbles.cold("-#").pipe(one_run("thread_1", begins))) == "-#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert unknown.__cause__ is error


@pytest.mark.parametrize("error", KNOWN, ids=repr)
def test_other_errors_pass_as_they_are(error):
    marbles = Marbles(error)
    assert marbles.run(marbles.cold("-#").pipe(one_run("thread_1", begins))) == "-#"
    assert marbles.errors == [error]


# --- one run, with a search ----------------------------------------------------------------


MINE = evolve(RUN, id="run_2", metadata={"mark": "mine"})
OTHER = evolve(RUN, metadata={"mark": "of another"})


class Searched:
    """One run that is looked for if need be: what is listed each time, and what follows then."""

    def __init__(self, marbles, asked, runs="|", found="(fd|)", **options):
        self.marbles = marbles
        self.asked = Tries(marbles, asked)
        self.lists = Tries(marbles, *(runs if isinstance(runs, list) else [runs]))
        self.found = []
        self.goes_on = Tries(marbles, found)
        search = Search(
            self.lists.next, lambda run: run.metadata.get("mark") == "mine", self._found, **options
        )
        self.observable = self.asked.observable.pipe(one_run("thread_1", begins, search))

    def _found(self, run):
        self.found.append(run)
        return self.goes_on.next()


@pytest.mark.parametrize("error", [RESET, CUT, APITimeoutError("silence"), *UNKNOWN], ids=repr)
def test_a_run_that_is_found_is_gone_on_with(error):
    marbles = Marbles(O=OTHER, M=MINE)
    searched = Searched(marbles, error, runs="-(OM|)", found="-f-d|")
    assert marbles.run(searched.observable) == "--f-d|"
    assert searched.found == [MINE]
    assert searched.asked.ticks == [0]
    assert searched.lists.ticks == [0]


def test_nothing_is_read_behind_the_run_that_is_found():
    marbles = Marbles(O=OTHER, M=MINE)
    searched = Searched(marbles, RESET, runs="(OM)--(O|)")
    assert marbles.run(searched.observable) == "(fd|)"


def test_a_service_that_acts_late_is_waited_for():
    """It is asked for once, and looked for at growing intervals."""
    marbles = Marbles(M=MINE, O=OTHER)
    searched = Searched(marbles, RESET, runs=["|", "(O|)", "|", "(M|)"])
    assert marbles.run(searched.observable) == "-------(fd|)"
    assert searched.lists.ticks == [0, 1, 3, 7]
    assert searched.asked.ticks == [0]


@pytest.mark.parametrize("error", [RESET, CUT, *UNKNOWN], ids=repr)
def test_a_run_that_is_not_found_in_time_is_never_asked_for_again(error):
    marbles = Marbles(O=OTHER)
    searched = Searched(marbles, error, runs="(O|)", patience=20)
    assert marbles.run(searched.observable) == "-" * 20 + "#"
    assert searched.asked.ticks == [0]
    assert searched.lists.ticks == [0, 1, 3, 7, 11, 15, 19]
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert unknown.__cause__ is error
    assert "it was looked for during 20 seconds, and not found" in str(unknown)


def test_it_is_looked_for_during_half_a_minute_by_default():
    marbles = Marbles()
    assert len(marbles.run(Searched(marbles, RESET).observable)) == 31


def test_without_patience_it_looks_once():
    marbles = Marbles()
    searched = Searched(marbles, RESET, patience=None)
    assert marbles.run(searched.observable) == "#"
    assert searched.lists.ticks == [0]
    assert "it was looked for once, and not found" in str(marbles.errors[0])


def test_a_server_that_keeps_no_metadata_is_named():
    marbles = Marbles(R=evolve(RUN, metadata={}), O=OTHER)
    searched = Searched(marbles, RESET, runs="(RO|)", patience=2)
    assert marbles.run(searched.observable) == "--#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert "run_1, has no metadata" in str(unknown)
    assert searched.asked.ticks == [0]


def test_an_end_without_a_run_is_looked_into():
    marbles = Marbles(M=MINE)
    searched = Searched(marbles, "-t-|", runs="(M|)")
    assert marbles.run(searched.observable) == "-t-(fd|)"


def test_done_without_a_run_is_looked_into():
    marbles = Marbles(M=MINE, D=DoneEvent())
    searched = Searched(marbles, "-(D|)", runs="(M|)")
    assert marbles.run(searched.observable) == "-(fd|)"


PASSES = [RESET, BROKEN, *GATEWAY, MISSING, GARBAGE, *SAYS_NOT]


@pytest.mark.parametrize("error", PASSES, ids=repr)
def test_a_search_that_fails_is_repeated(error):
    marbles = Marbles(M=MINE)
    searched = Searched(marbles, RESET, runs=[error, error, "(M|)"])
    assert marbles.run(searched.observable) == "---(fd|)"


@pytest.mark.parametrize("error", PASSES, ids=repr)
def test_a_search_that_fails_for_good_says_so(error):
    marbles = Marbles()
    searched = Searched(marbles, RESET, runs=error, patience=9)
    assert marbles.run(searched.observable) == "-" * 9 + "#"
    (unknown,) = marbles.errors
    assert isinstance(unknown, RunOutcomeUnknown)
    assert unknown.__cause__ is RESET
    assert f"at last in vain ({error})" in str(unknown)
    assert searched.asked.ticks == [0]


def test_a_search_that_never_answers_is_given_up():
    marbles = Marbles()
    searched = Searched(marbles, RESET, runs="-", patience=9)
    assert marbles.run(searched.observable) == "-" * 9 + "#"
    assert isinstance(marbles.errors[0], RunOutcomeUnknown)
    assert searched.lists.subscriptions == ["^--------!"]


def test_a_search_that_is_refused_says_so_at_once():
    forbidden = status_error("No.", status_code=403)
    marbles = Marbles()
    assert marbles.run(Searched(marbles, RESET, runs=forbidden).observable) == "#"
    assert "it could not be looked for (HTTP 403: No.)" in str(marbles.errors[0])


@pytest.mark.parametrize("error", [LookupError("ours"), StreamClosed("left")], ids=repr)
def test_a_mistake_in_the_search_is_the_error(error):
    marbles = Marbles()
    assert marbles.run(Searched(marbles, RESET, runs=error).observable) == "#"
    assert marbles.errors == [error]


@pytest.mark.parametrize("error", [each for each in KNOWN if each is not BUSY], ids=repr)
def test_errors_that_leave_nothing_open_pass(error):
    marbles = Marbles()
    searched = Searched(marbles, error)
    assert marbles.run(searched.observable) == "#"
    assert marbles.errors == [error]
    assert searched.lists.ticks == []


@pytest.mark.parametrize("error", [RESET, BROKEN], ids=repr)
def test_nothing_is_looked_for_once_a_run_was_told(error):
    marbles = Marbles(error)
    searched = Searched(marbles, "-r-#")
    assert marbles.run(searched.observable) == "-r-#"
    assert marbles.errors == [error]
    assert searched.lists.ticks == []


def test_a_thread_that_is_busy_with_the_run_itself():
    """A gateway has sent the request twice."""
    marbles = Marbles(M=MINE)
    searched = Searched(marbles, BUSY, runs=[RESET, "(M|)"])
    assert marbles.run(searched.observable) == "-(fd|)"
    assert searched.found == [MINE]


@pytest.mark.parametrize("runs", ["|", "(OR|)"])
def test_a_thread_that_is_busy_with_the_run_of_somebody_else(runs):
    """Then it is known that no run of ours exists: code that waits for the thread may wait."""
    marbles = Marbles(O=OTHER, R=RUN)
    searched = Searched(marbles, BUSY, runs=runs)
    assert marbles.run(searched.observable) == "#"
    assert marbles.errors == [BUSY]
    assert searched.lists.ticks == [0]


@pytest.mark.parametrize("patience", [9, None])
def test_a_thread_that_is_busy_with_nobody_knows_what(patience):
    marbles = Marbles()
    searched = Searched(marbles, BUSY, runs=RESET, patience=patience)
    assert marbles.run(searched.observable) == "-" * (patience or 0) + "#"
    assert isinstance(marbles.errors[0], RunOutcomeUnknown)


@pytest.mark.parametrize(
    ("window", "asked", "looked"),
    [
        ("--!", ["^-!"], []),
        ("----!", ["^--!"], ["---^!"]),
        ("------!", ["^--!"], ["---^-!"]),
        ("-------!", ["^--!"], ["---^-!", "------^!"]),
        ("---------!", ["^--!"], ["---^-!", "------^-!"]),
    ],
    ids=["asking", "looking", "pausing", "looking again", "going on"],
)
def test_to_dispose_frees_all_of_it(window, asked, looked):
    marbles = Marbles(RESET, M=MINE)
    searched = Searched(marbles, "---#", runs=["--|", "--(M|)"], found="---f")
    assert marbles.run(searched.observable, window) == "-"
    assert searched.asked.subscriptions == asked
    assert searched.lists.subscriptions == looked
    assert searched.goes_on.subscriptions == (["--------^!"] if len(window) > 9 else [])


def test_two_subscriptions_are_two_runs():
    marbles = Marbles(RESET, M=MINE)
    searched = Searched(marbles, "-#", runs=["|", "|", "|", "|", "(M|)"])
    first, second = marbles.watch(searched.observable), marbles.watch(searched.observable, "^")
    marbles.start()
    assert str(first) == str(second) == "----(fd|)"
    assert len(searched.asked.ticks) == 2


def test_a_search_is_logged_once(caplog):
    marbles = Marbles(M=MINE)
    with caplog.at_level(logging.DEBUG, "rxassist"):
        marbles.run(Searched(marbles, RESET, runs=["|", "(M|)"]).observable)
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert "reset by peer" in record.getMessage()


# --- outputs -------------------------------------------------------------------------------


def waiting(*calls):
    required = tuple(RequiredActionFunctionToolCall(call, FunctionCall("f")) for call in calls)
    action = RequiredActionSubmitToolOutputs(SubmitToolOutputs(required))
    return evolve(RUN, status="requires_action", required_action=action)


def submitted(marbles, tries, *runs, **options):
    """What comes of submitting the output of ``call_1``; each time the service tells another."""
    asked = Tries(marbles, *runs)
    return tries.observable.pipe(outputs_once(asked.next, ["call_1"], **options)), asked


@pytest.mark.parametrize("error", [RESET, CUT, REFUSED, APITimeoutError("silence")], ids=repr)
def test_outputs_that_were_not_taken_are_submitted_again(error):
    marbles = Marbles(error, W=waiting("call_1", "call_2"))
    tries = Tries(marbles, "-#", "-q-d|")
    piped, asked = submitted(marbles, tries, "-(W|)")
    assert marbles.run(piped) == "---q-d|"
    assert tries.ticks == [0, 2]
    assert asked.ticks == [1]


def test_a_body_that_says_nothing_may_not_have_taken_them():
    marbles = Marbles(W=waiting("call_1"))
    tries = Tries(marbles, "-|", "-q-d|")
    piped, _ = submitted(marbles, tries, "(W|)")
    assert marbles.run(piped) == "--q-d|"


def test_done_alone_may_not_have_taken_them():
    marbles = Marbles(W=waiting("call_1"), D=DoneEvent())
    tries = Tries(marbles, "-(D|)", "-q-d|")
    piped, _ = submitted(marbles, tries, "(W|)")
    assert marbles.run(piped) == "--q-d|"


def test_an_approval_that_was_not_taken_is_submitted_again():
    calls = SubmitToolApproval((RequiredActionMCPToolCall("call_1"),))
    action = RequiredActionSubmitToolApproval(calls)
    marbles = Marbles(W=evolve(RUN, status="requires_action", required_action=action))
    piped, _ = submitted(marbles, Tries(marbles, RESET, "-q-d|"), "(W|)")
    assert marbles.run(piped) == "-q-d|"


@pytest.mark.parametrize(
    "run",
    [
        RUN,
        evolve(RUN, status="completed"),
        evolve(RUN, status="requires_action"),
        waiting("call_2"),
    ],
    ids=["works", "ended", "says not why", "waits for others"],
)
def test_outputs_that_were_taken_are_not_submitted_again(run):
    marbles = Marbles(RESET, R=run)
    tries = Tries(marbles, "-#")
    piped, _ = submitted(marbles, tries, "-(R|)")
    assert marbles.run(piped) == "--#"
    assert marbles.errors == [RESET]
    assert tries.ticks == [0]


@pytest.mark.parametrize(("again", "times"), [(True, 2), (False, 1)])
def test_outputs_are_submitted_once_more_at_most(again, times):
    marbles = Marbles(RESET, W=waiting("call_1"))
    tries = Tries(marbles, "-#")
    piped, asked = submitted(marbles, tries, "(W|)", again=again)
    assert marbles.run(piped) == "-" * times + "#"
    (error,) = marbles.errors
    assert str(error) == "the outputs were not taken: reset by peer"
    assert not error.sent  # so that nothing is recovered
    assert error.__cause__ is RESET
    assert tries.ticks == [0, 1][:times]
    assert asked.ticks == [1, 2][:times]


@pytest.mark.parametrize("error", [RESET, BROKEN, MISSING], ids=repr)
def test_a_run_that_cannot_be_asked_leaves_the_first_error(error):
    marbles = Marbles(CUT)
    piped, _ = submitted(marbles, Tries(marbles, "-#"), error)
    assert marbles.run(piped) == "-#"
    assert marbles.errors == [CUT]


LATE = status_error("Runs in status completed do not accept tool outputs.", status_code=400)
CLASH = status_error("Conflict.", status_code=409)
LEAVES_OPEN = [*UNKNOWN, CLASH]


@pytest.mark.parametrize("error", LEAVES_OPEN, ids=repr)
@pytest.mark.parametrize("why", [RESET, BROKEN, MISSING], ids=repr)
def test_a_run_that_cannot_be_read_is_a_lost_connection_and_not_given_up(error, why):
    marbles = Marbles()
    tries = Tries(marbles, error)
    piped, _ = submitted(marbles, tries, why)
    assert marbles.run(piped) == "#"
    (lost,) = marbles.errors
    assert not leaves_waiting(lost)
    assert lost.__cause__ is error
    assert tries.ticks == [0]


@pytest.mark.parametrize("run", [RUN, evolve(RUN, status="completed"), waiting("call_2")], ids=repr)
@pytest.mark.parametrize("error", [RESET, REFUSED, *LEAVES_OPEN], ids=repr)
def test_what_follows_on_outputs_that_were_taken_may_be_chosen(run, error):
    """As polls do: they go on with the run as it was read."""
    marbles = Marbles(R=run)
    piped, _ = submitted(
        marbles, Tries(marbles, error), "-(R|)", went_on=lambda run, lost: rx.of((run, lost))
    )
    seen = marbles.watch(piped)
    marbles.start()
    ((told, lost),) = seen.values
    assert told is run
    assert not leaves_waiting(lost)


@pytest.mark.parametrize("run", [RUN, evolve(RUN, status="cancelled")], ids=repr)
@pytest.mark.parametrize("error", [LATE, CLASH], ids=repr)
def test_with_follow_a_refusal_is_looked_into(run, error):
    """The run was cancelled meanwhile, or a gateway has sent the outputs twice."""
    marbles = Marbles(R=run)
    piped, _ = submitted(marbles, Tries(marbles, error), "-(R|)", follow=True)
    assert marbles.run(piped) == "-#"
    assert not leaves_waiting(marbles.errors[0])


@pytest.mark.parametrize("error", [LATE, CLASH], ids=repr)
def test_a_refusal_though_the_run_waits_is_the_error(error):
    marbles = Marbles(W=waiting("call_1"))
    piped, _ = submitted(marbles, Tries(marbles, error), "-(W|)", follow=True)
    assert marbles.run(piped) == "-#"
    assert marbles.errors == [error]


@pytest.mark.parametrize("error", [LATE, CLASH], ids=repr)
def test_a_refusal_of_another_try_says_that_the_first_was_taken_late(error):
    marbles = Marbles(error, W=waiting("call_1"), R=RUN)
    tries = Tries(marbles, RESET, "-#")
    asked = Tries(marbles, "-(W|)", "-(R|)")
    piped = tries.observable.pipe(outputs_once(asked.next, ["call_1"]))
    assert marbles.run(piped) == "---#"
    assert marbles.errors == [RESET]
    assert (len(tries.ticks), len(asked.ticks)) == (2, 2)


def test_another_try_that_is_refused_though_the_run_waits_is_an_error():
    marbles = Marbles(W=waiting("call_1"))
    tries = Tries(marbles, RESET, LATE)
    piped, _ = submitted(marbles, tries, "(W|)")
    assert marbles.run(piped) == "#"
    assert marbles.errors == [LATE]


def test_another_try_that_is_not_sent_leaves_the_first_to_be_recovered():
    marbles = Marbles(W=waiting("call_1"), R=RUN)
    asked = Tries(marbles, "(W|)", "(R|)")
    tries = Tries(marbles, RESET, REFUSED)
    assert marbles.run(tries.observable.pipe(outputs_once(asked.next, ["call_1"]))) == "#"
    assert marbles.errors == [RESET]


@pytest.mark.parametrize("error", LEAVES_OPEN, ids=repr)
def test_outputs_that_were_taken_though_the_answer_is_useless_are_a_lost_connection(error):
    marbles = Marbles(R=RUN)
    tries = Tries(marbles, error)
    piped, _ = submitted(marbles, tries, "(R|)")
    assert marbles.run(piped) == "#"
    (lost,) = marbles.errors
    assert isinstance(lost, APIConnectionError)
    assert lost.sent
    assert lost.__cause__ is error


@pytest.mark.parametrize("error", LEAVES_OPEN, ids=repr)
def test_an_answer_that_is_useless_is_no_reason_to_submit_again(error):
    marbles = Marbles(W=waiting("call_1"))
    tries = Tries(marbles, error)
    piped, _ = submitted(marbles, tries, "(W|)")
    assert marbles.run(piped) == "#"
    assert marbles.errors == [error]
    assert tries.ticks == [0]


@pytest.mark.parametrize(
    "error", [LATE, BUSY, MISSING, *SAYS_NOT, LookupError("ours"), StreamClosed("left")], ids=repr
)
def test_what_the_service_answers_passes(error):
    marbles = Marbles()
    piped, asked = submitted(marbles, Tries(marbles, error), "|")
    assert marbles.run(piped) == "#"
    assert marbles.errors == [error]
    assert asked.ticks == []


def test_a_connection_that_breaks_after_the_first_item_passes():
    marbles = Marbles(RESET)
    piped, asked = submitted(marbles, Tries(marbles, "-q-#"), "|")
    assert marbles.run(piped) == "-q-#"
    assert marbles.errors == [RESET]
    assert asked.ticks == []


@pytest.mark.parametrize(
    ("window", "tried", "asked_for"),
    [
        ("-!", ["^!"], []),
        ("---!", ["^-!"], ["--^!"]),
        ("-----!", ["^-!", "----^!"], ["--^-!"]),
    ],
    ids=["submitting", "asking", "submitting again"],
)
def test_to_dispose_frees_the_question_and_the_source(window, tried, asked_for):
    marbles = Marbles(RESET, W=waiting("call_1"))
    tries = Tries(marbles, "--#", "-")
    piped, asked = submitted(marbles, tries, "--(W|)")
    assert marbles.run(piped, window) == "-"
    assert tries.subscriptions == tried
    assert asked.subscriptions == asked_for


# --- a free thread -------------------------------------------------------------------------


def test_a_thread_that_is_free_is_not_waited_for():
    marbles = Marbles()
    settled = Tries(marbles, "|")
    assert marbles.run(marbles.cold("-r-d|").pipe(when_free(lambda _: settled.next()))) == "-r-d|"
    assert settled.ticks == []


def test_a_thread_that_is_busy_is_waited_for():
    marbles = Marbles(BUSY)
    asked = []

    def settled(run_id):
        asked.append(run_id)
        return ended.next()

    tries, ended = Tries(marbles, "-#", "-#", "-r|"), Tries(marbles, "-w-(c|)", "-(c|)")
    assert marbles.run(tries.observable.pipe(when_free(settled))) == "-------r|"
    assert tries.ticks == [0, 4, 6]
    assert asked == ["run_7", "run_7"]


def test_a_run_that_has_ended_without_a_word_is_waited_for_too():
    marbles = Marbles(BUSY)
    tries = Tries(marbles, "-#", "-r|")
    assert marbles.run(tries.observable.pipe(when_free(lambda _: rx.empty()))) == "--r|"


def test_a_busy_thread_whose_run_is_not_named_is_an_error():
    nameless = ThreadBusyError("The thread is busy.", status_code=400)
    marbles = Marbles(nameless)
    assert marbles.run(marbles.cold("-#").pipe(when_free(lambda _: rx.never()))) == "-#"
    assert marbles.errors == [nameless]


@pytest.mark.parametrize("error", [RESET, BROKEN, MISSING, LookupError("ours")], ids=repr)
def test_all_other_errors_pass_while_a_thread_is_wanted(error):
    marbles = Marbles(error)
    assert marbles.run(marbles.cold("-#").pipe(when_free(lambda _: rx.never()))) == "-#"
    assert marbles.errors == [error]


def test_an_error_while_it_is_waited_for_is_the_error():
    marbles = Marbles(BUSY)
    assert marbles.run(marbles.cold("-#").pipe(when_free(lambda _: rx.throw(MISSING)))) == "-#"
    assert marbles.errors == [MISSING]


def test_to_dispose_ends_the_wait():
    marbles = Marbles(BUSY)
    tries, ended = Tries(marbles, "-#"), Tries(marbles, "--(c|)")
    assert marbles.run(tries.observable.pipe(when_free(lambda _: ended.next())), "--!") == "-"
    assert tries.subscriptions == ["^!"]
    assert ended.subscriptions == ["-^!"]


# --- what is waited for --------------------------------------------------------------------


def test_what_is_waited_for_is_told_until_it_may_begin():
    marbles, waiting, queues = Marbles(BUSY), Waiting(), Queues()
    tries, ended = Tries(marbles, "-#", "--r-|"), Tries(marbles, "--(c|)")
    seen = []
    for tick in (0.5, 1.5, 2.5, 3.5, 5.5):
        marbles.scheduler.schedule_relative(
            tick, lambda *_: seen.append((str(waiting), waiting.in_the_way))
        )
    free = when_free(lambda _: ended.next(), waiting)
    source = tries.observable.pipe(free, queues.in_turn("thread_1", waiting))
    assert marbles.run(source) == "-----r-|"
    told = ("the run never began: run run_7 is in its way", BUSY)
    assert seen == [("", None), told, told, ("", None), ("", None)]


def test_who_stands_behind_others_waits_for_what_they_wait_for():
    marbles, queues = Marbles(BUSY), Queues()
    first, second = Waiting(), Waiting()
    free = when_free(lambda _: marbles.cold("---(c|)"), first)
    tries = Tries(marbles, "-#", "r|")
    marbles.watch(tries.observable.pipe(free, queues.in_turn("thread_1", first)), "^")
    marbles.watch(marbles.cold("--r|").pipe(queues.in_turn("thread_1", second)), "^")
    seen = []
    for tick in (0.5, 1.5, 4.5):
        marbles.scheduler.schedule_relative(tick, lambda *_: seen.append(str(second)))
    marbles.start()
    assert seen == [
        "the run never began: others of this client came first",
        "the run never began: run run_7 is in its way",
        "",
    ]


# --- in turn -------------------------------------------------------------------------------


def in_turn(marbles, *diagrams, windows=None, threads=None):
    """What the subscribers of some sources see, and the sources."""
    queues = Queues()
    sources = [marbles.cold(diagram) for diagram in diagrams]
    recordings = [
        marbles.watch(
            source.pipe(queues.in_turn((threads or {}).get(place, "thread_1"))),
            (windows or {}).get(place, "^"),
        )
        for place, source in enumerate(sources)
    ]
    marbles.start()
    begun = [source.subscriptions for source in sources]
    assert queues._queues == {}
    return [str(recording) for recording in recordings], begun


def test_each_begins_when_the_one_before_has_its_first_item():
    seen, begun = in_turn(Marbles(), "--a-b|", "-c-d|", "--e|")
    assert seen == ["--a-b|", "---c-d|", "-----e|"]
    assert begun == [["^----!"], ["--^---!"], ["---^--!"]]


def test_each_begins_when_the_one_before_is_over():
    marbles = Marbles(MISSING)
    seen, begun = in_turn(marbles, "--#", "--|", "-a|")
    assert seen == ["--#", "----|", "-----a|"]
    assert begun == [["^-!"], ["--^-!"], ["----^-!"]]


def test_who_leaves_lets_the_next_begin():
    seen, begun = in_turn(Marbles(), "----a|", "-b|", windows={0: "--!"})
    assert seen == ["-", "---b|"]
    assert begun == [["^-!"], ["--^-!"]]


def test_who_leaves_the_queue_is_passed_over():
    seen, begun = in_turn(Marbles(), "----a|", "-b|", "-c|", windows={1: "^-!"})
    assert seen == ["----a|", "-", "-----c|"]
    assert begun == [["^----!"], [], ["----^-!"]]


def test_threads_do_not_wait_for_each_other():
    seen, _ = in_turn(Marbles(), "--a|", "-b|", threads={1: "thread_2"})
    assert seen == ["--a|", "-b|"]


def test_who_comes_later_queues_behind():
    seen, begun = in_turn(Marbles(), "--a|", "-b|", "-c|", windows={1: "-^", 2: "----^"})
    assert seen == ["--a|", "---b|", "-----c|"]
    assert begun[2] == ["----^-!"]


def test_the_item_that_frees_the_thread_comes_before_those_of_the_next():
    marbles, queues, seen = Marbles(), Queues(), []
    for source in ("-(ab|)", "(cd|)", "(ef|)"):
        marbles.cold(source).pipe(queues.in_turn("thread_1")).subscribe(
            seen.append, scheduler=marbles.scheduler
        )
    marbles.start()
    assert "".join(seen) == "abcdef"


def test_a_long_queue_of_which_nobody_gets_a_run():
    """It does not nest."""
    queues, first, errors = Queues(), rx.Subject(), []
    refused = rx.throw(MISSING)
    for source in (first, *[refused] * 2000):
        source.pipe(queues.in_turn("thread_1")).subscribe(on_error=errors.append)
    first.on_completed()
    assert errors == [MISSING] * 2000


def test_a_source_that_cannot_be_subscribed_lets_the_next_begin():
    def fail(*_):
        raise MISSING

    queues, seen = Queues(), []
    rx.Observable(fail).pipe(queues.in_turn("thread_1")).subscribe(on_error=seen.append)
    rx.of("a").pipe(queues.in_turn("thread_1")).subscribe(seen.append)
    assert seen == [MISSING, "a"]


def test_the_next_begins_also_where_nothing_is_going_on_on_this_thread():
    queues, seen = Queues(), []
    first, second = rx.Subject(), rx.Subject()
    first.pipe(queues.in_turn("thread_1")).subscribe()
    second.pipe(queues.in_turn("thread_1")).subscribe(seen.append)
    first.on_next("a")
    second.on_next("b")
    assert seen == ["b"]


def test_who_begins_again_queues_again():
    marbles = Marbles(RESET)
    queues = Queues()
    tries = Tries(marbles, "--#", "-a|")
    first = marbles.watch(tries.observable.pipe(queues.in_turn("thread_1"), ops.retry(2)))
    second = marbles.watch(marbles.cold("-b|").pipe(queues.in_turn("thread_1")), "-^")
    marbles.start()
    assert str(second) == "---b|"
    assert str(first) == "----a|"


def test_outcomes_are_known_before_the_next_begins():
    """As the client combines them: who is unknown still has its turn while it is looked for."""
    marbles = Marbles(R=MINE)
    queues = Queues()
    searched = Searched(marbles, BROKEN, runs=["-|", "(R|)"])
    free = when_free(lambda _: rx.empty())
    first = marbles.watch(searched.observable.pipe(free, queues.in_turn("thread_1")))
    second = marbles.watch(marbles.cold("(a|)").pipe(queues.in_turn("thread_1")))
    marbles.start()
    assert str(first) == "--(fd|)"
    assert str(second) == "--(a|)"
