"""A flag works in a forked child too, whatever other threads did at the fork (G13)."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from engine.actors.runtime import flag as module
from engine.actors.runtime.flag import Flag
from tests.stopwatch import PATIENCE


def test_a_flag_is_waited_for_until_it_is_set() -> None:
    flag = Flag()
    assert not flag.wait(0)
    thread = threading.Thread(target=flag.set)
    thread.start()
    assert flag.wait(PATIENCE)
    thread.join(PATIENCE)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_lock_that_was_held_at_the_fork_holds_up_nobody_in_the_child() -> None:
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with module._CHANGED:
            is_held.set()
            may_go_on.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(PATIENCE)
    child = os.fork()
    if not child:
        signal.alarm(round(PATIENCE))  # ends a child that waits for ever
        Flag().set()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    may_go_on.set()
    holder.join(PATIENCE)
    assert os.waitstatus_to_exitcode(status) == 0
