from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fused_jupyter.runtime.interrupts import Interrupts


def press() -> None:
    """Ctrl-C: the handler has run when this returns."""
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_interrupts_what_waits() -> None:
    """As it would without us."""
    steps = []

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - what it does is the point
        try:
            interrupts.wait_for(press)
        finally:
            steps.append("cleared up")

    assert steps == ["cleared up"]


def test_ctrl_c_between_is_heard_at_the_next_wait() -> None:
    """What belongs together is done; what would wait is not begun."""
    steps = []

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - what it does is the point
        press()
        steps.append("taken")
        interrupts.wait_for(lambda: steps.append("waited"))

    assert steps == ["taken"]


def test_ctrl_c_after_the_last_wait_is_heard_at_the_end() -> None:
    """It is never lost."""
    steps = []

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - what it does is the point
        steps.append(interrupts.wait_for(lambda: 1))
        press()
        steps.append(2)

    assert steps == [1, 2]


def test_a_second_ctrl_c_does_not_disturb_who_clears_up() -> None:
    """People press it twice."""
    steps = []

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - what it does is the point
        try:
            interrupts.wait_for(press)
        finally:
            press()
            steps.append("cleared up")

    assert steps == ["cleared up"]


class Dropped:
    """Somebody presses Ctrl-C while it is finalized: Python reports what that raises, and goes on."""

    def __del__(self) -> None:
        press()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("waits_again", [False, True], ids=["at the end", "at the next wait"])
def test_ctrl_c_inside_a_finalizer_is_not_lost(waits_again: bool) -> None:
    """The garbage collector runs them at any moment; a loop of calls would go on for ever."""
    steps: list[object] = []

    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 - what it does is the point
        interrupts.wait_for(lambda: id(Dropped()))
        steps.append("swallowed")
        if waits_again:
            interrupts.wait_for(lambda: steps.append("waited"))

    assert steps == ["swallowed"]


def test_the_handler_of_before_is_back_afterwards() -> None:
    """Also that of somebody else, which is called when its time has come."""
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        theirs = signal.getsignal(signal.SIGINT)
        with Interrupts() as interrupts:
            press()
            assert not heard
            interrupts.wait_for(lambda: [press(), press()])
            assert len(heard) == 3
            press()
        assert heard == [signal.SIGINT] * 4
        assert signal.getsignal(signal.SIGINT) is theirs
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_that_raises_something_else_is_called_once() -> None:
    """Programs end themselves by one."""
    heard: list[int] = []

    def leave(number: int, _: object) -> None:
        heard.append(number)
        raise SystemExit(3)

    before = signal.signal(signal.SIGINT, leave)
    try:
        with pytest.raises(SystemExit), Interrupts() as interrupts:
            interrupts.wait_for(press)
    finally:
        signal.signal(signal.SIGINT, before)

    assert heard == [signal.SIGINT]


def test_ctrl_c_that_is_ignored_stays_so() -> None:
    """As in a process without a terminal."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            interrupts.wait_for(press)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_only_wait() -> None:
    """Ctrl-C is for the main thread, and only that one may set handlers."""

    def work() -> tuple[object, object]:
        with Interrupts() as interrupts:
            return interrupts.wait_for(lambda: signal.getsignal(signal.SIGINT)), threading.current_thread()

    with ThreadPoolExecutor(1) as pool:
        seen, thread = pool.submit(work).result()

    assert seen is signal.getsignal(signal.SIGINT)
    assert thread is not threading.main_thread()
