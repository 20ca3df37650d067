"""Which run a farewell cancels: the one that is followed, and then the one that goes on with it."""

import pytest
import reactivex as rx

from rxassist.models import Run
from rxassist.reactive.loop import ThreadLoop
from rxassist.runs.streams.leaving import Farewell


@pytest.fixture
def farewell():
    home = ThreadLoop()
    yield Farewell(lambda _: rx.never(), home)
    home.close()


def test_another_run_is_ignored(farewell):
    farewell.told(Run("run_1", status="in_progress"))
    farewell.told(Run("run_2", status="requires_action"))
    assert (farewell.run.id, farewell.waits) == ("run_1", False)


def test_the_run_that_goes_on_with_one_that_waited_takes_its_place(farewell):
    farewell.told(Run("run_1", status="requires_action"))
    farewell.told(Run("run_2", status="in_progress"))
    assert (farewell.run.id, farewell.waits) == ("run_2", False)
    farewell.told(Run("run_1", status="cancelled"))
    assert farewell.run.id == "run_2"
