"""The kernel: map and filter at once, and any number of items for each."""

import pytest
import reactivex
from reactivex import operators as ops

from rxassist.operators import choose, choose_each
from rxassist.reactive.kernel import nothing


def test_what_is_none_is_dropped_and_what_is_false_is_not(flows):
    flows(
        choose(lambda item: item),
        "-a-b-c-d-e-|",
        "-a-b---d-e-|",
        a=0,
        b="",
        c=None,
        d=False,
        e=(),
    )


def test_an_exception_of_the_function_is_an_error_and_frees_the_source(flows):
    error = flows(
        choose(lambda number: 6 // number),
        "-a-b-c-a-|",
        "-b-a-#",
        "^----!",
        a=2,
        b=3,
        c=0,
    )
    assert isinstance(error, ZeroDivisionError)


def test_nothing_is_asked_for_after_an_exception(flows):
    asked = []

    def fails(item):
        asked.append(item)
        raise LookupError

    flows(choose(fails), "(abc|)", "#")
    assert asked == ["a"]


def test_an_interrupt_in_the_function_is_no_error_of_the_stream():
    def interrupted(_):
        raise KeyboardInterrupt

    errors = []
    with pytest.raises(KeyboardInterrupt):
        reactivex.of("a").pipe(choose(interrupted)).subscribe(on_error=errors.append)
    assert errors == []


def twice_and_an_end():
    return (lambda item: (item, item)), (lambda: ("z",))


def test_any_number_of_items_for_each_and_more_at_the_end(flows):
    flows(
        choose_each(twice_and_an_end),
        "-a---b---|",
        "-(aa)(bb)(z|)",
        "^--------!",
    )


def test_an_error_of_the_source_has_no_end_before_it(flows):
    flows(
        choose_each(twice_and_an_end),
        "-a---#",
        "-(aa)#",
        "^----!",
    )


def fails_at_once(item):
    raise LookupError(item)


def fails_after_one(item):
    yield item
    raise LookupError(item)


def fails_at_the_end():
    yield "y"
    raise LookupError


def test_an_exception_of_a_step_is_an_error_and_frees_the_source(flows):
    flows(
        choose_each(lambda: (fails_at_once, nothing)),
        "-a-b-|",
        "-#",
        "^!",
    )


def test_what_a_step_gave_before_its_exception_is_emitted(flows):
    flows(
        choose_each(lambda: (fails_after_one, nothing)),
        "-a-b-|",
        "-(a#)",
        "^!",
    )


def test_an_exception_at_the_end_is_an_error_after_what_was_emitted(flows):
    flows(
        choose_each(lambda: (lambda _: (), fails_at_the_end)),
        "-a-|",
        "---(y#)",
        "^--!",
    )


def test_an_exception_where_the_end_begins_is_an_error(flows):
    flows(
        choose_each(lambda: (lambda _: (), lambda: 1 // 0)),
        "-a-|",
        "---#",
        "^--!",
    )


def test_to_leave_in_the_middle_of_a_step_frees_the_source(flows):
    operator = choose_each(twice_and_an_end)
    flows(
        lambda source: source.pipe(operator, ops.take(3)),
        "-a---b---|",
        "-(aa)(b|)",
        "^----!",
    )


def test_what_is_no_function_is_refused_at_once():
    with pytest.raises(TypeError, match="choose takes a function"):
        choose(None)
    with pytest.raises(TypeError, match="choose_each takes a function"):
        choose_each(None)
