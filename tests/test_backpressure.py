"""Demand: open or closed, with a parent, and current while a consumer subscribes."""

from contextvars import copy_context

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist.reactive.backpressure import Demand, current_demand, demanding


class Calls(list):
    def __call__(self):
        self.append("called")


def test_a_demand_begins_open():
    demand, calls = Demand(), Calls()
    demand.when_open(calls)
    assert demand.is_open
    assert calls == ["called"]


def test_who_waits_is_called_once_when_it_opens():
    demand, calls = Demand(), Calls()
    demand.close()
    demand.when_open(calls)
    assert not demand.is_open
    assert calls == []
    demand.open()
    demand.close()
    demand.open()
    assert calls == ["called"]


def test_who_waits_is_called_in_order():
    demand, order = Demand(), []
    demand.close()
    for name in "abc":
        demand.when_open(lambda name=name: order.append(name))
    demand.open()
    assert order == ["a", "b", "c"]


def test_closing_again_while_resuming_keeps_who_asks_anew():
    demand, log = Demand(), []

    def again():
        log.append(demand.is_open)
        demand.close()
        demand.when_open(again)

    demand.close()
    demand.when_open(again)
    demand.open()
    assert log == [True]
    demand.open()
    assert log == [True, True]


@pytest.mark.parametrize(
    ("child", "parent", "wanted"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_more_is_wanted_only_if_the_parent_wants_it_too(child, parent, wanted):
    above = Demand()
    demand = Demand(above)
    if not child:
        demand.close()
    if not parent:
        above.close()
    assert demand.is_open is wanted


def test_who_waits_for_a_child_waits_for_the_parent():
    parent = Demand()
    demand, calls = Demand(parent), Calls()
    parent.close()
    demand.when_open(calls)
    assert calls == []
    parent.open()
    assert calls == ["called"]


def test_who_is_called_by_the_child_looks_again():
    parent = Demand()
    demand = Demand(parent)
    went_on = Calls()

    def look():
        if demand.is_open:
            went_on()
        else:
            demand.when_open(look)

    parent.close()
    demand.close()
    look()
    demand.open()
    assert went_on == []
    parent.open()
    assert went_on == ["called"]


def test_grandparents_count():
    top = Demand()
    demand, calls = Demand(Demand(top)), Calls()
    top.close()
    demand.when_open(calls)
    assert not demand.is_open
    top.open()
    assert calls == ["called"]


def test_a_demand_knows_the_thread_that_waits():
    assert Demand().blocked_thread is None
    assert Demand(blocked_thread=7).blocked_thread == 7


# --- the current demand --------------------------------------------------------------------


def test_nobody_is_waited_for_unless_they_ask():
    assert current_demand() is None


def test_a_demand_is_current_inside_and_the_one_before_afterwards():
    outer, inner = Demand(), Demand()
    with demanding(outer):
        with demanding(inner):
            assert current_demand() is inner
        assert current_demand() is outer
        with demanding(None):
            assert current_demand() is None
    assert current_demand() is None


def test_a_demand_is_forgotten_after_an_error():
    def fail():
        with demanding(Demand()):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert current_demand() is None


def test_a_context_taken_inside_keeps_the_demand():
    demand = Demand()
    with demanding(demand):
        context = copy_context()
    assert context.run(current_demand) is demand


def test_sources_behind_operators_find_the_demand_of_the_consumer():
    found = []

    def source(_):
        return rx.defer(lambda _: found.append(current_demand()) or rx.of(1))

    demand = Demand()
    with demanding(demand):
        rx.of(1, 2).pipe(ops.map(lambda x: x), ops.flat_map(source)).subscribe()
    source(0).subscribe()
    assert found == [demand, demand, None]


# --- whoever waits -------------------------------------------------------------------------


def test_a_failure_goes_to_the_nearest_consumer_that_takes_it():
    told = []
    last = Demand(failed=lambda error: told.append(("last", error)) or True)
    between = Demand(last)
    first = Demand(between, failed=lambda error: told.append(("first", error)) or True)
    error = SystemExit()
    assert between.fail(error)
    assert first.fail(error)
    assert told == [("last", error), ("first", error)]


def test_a_failure_that_nobody_takes_is_said_to_be_so():
    assert not Demand().fail(SystemExit())
    assert not Demand(Demand()).fail(SystemExit())
    assert not Demand(failed=lambda _: False).fail(SystemExit())


def test_a_thread_is_blocked_by_any_consumer_further_down():
    demand = Demand(Demand(Demand(blocked_thread=7)))
    assert demand.blocks(7)
    assert not demand.blocks(8)
    assert not Demand().blocks(7)
