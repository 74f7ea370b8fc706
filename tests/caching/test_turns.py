from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fused_jupyter.caching.turns import State, Turn
from fused_jupyter.errors import ArgumentError, UdfRuntimeError


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[Callable[[], Turn]]:
    """A new wait for the same value each time."""
    made: list[Turn] = []

    def make() -> Turn:
        made.append(Turn(str(tmp_path / "key")))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_one_at_a_time(turn: Callable[[], Turn]) -> None:
    """The first has it; the others see that, as often as they look."""
    first, second = turn(), turn()

    assert first.look() is State.MINE
    assert [second.look(), second.look()] == [State.TAKEN, State.TAKEN]


def test_who_waited_hears_that_it_is_over(turn: Callable[[], Turn]) -> None:
    """And may then have it."""
    first, second, third = turn(), turn(), turn()
    first.look()
    second.look()

    first.end()

    assert second.look() is State.OVER
    assert third.look() is State.MINE
    assert second.look() is State.TAKEN


def test_all_who_waited_hear_the_error(turn: Callable[[], Turn]) -> None:
    """Where it was raised stands in a note; who comes later starts afresh."""
    first, *waiting = turn(), turn(), turn()
    first.look()
    for one in waiting:
        one.look()

    first.leave(KeyError("no such place"))
    later = turn()
    assert later.look() is State.MINE
    first.end()

    for one in waiting:
        assert one.look() is State.FAILED
        assert isinstance(one.error, KeyError)
        assert one.error.args == ("no such place",)
        assert "equal call" in one.error.__notes__[0]


class Fussy(Exception):  # noqa: N818 - as users name them
    """Can be pickled, and not read again."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{reason} ({code})")


def fussy() -> Exception:
    class LocalError(ValueError):
        pass

    return LocalError("of a class inside a function")


@pytest.mark.parametrize(
    ("error", "name", "text"),
    [(Fussy(7, reason="no"), "Fussy", r"no \(7\)"), (fussy(), "LocalError", "of a class inside a function")],
)
def test_error_that_cannot_travel_is_told_as_text(
    turn: Callable[[], Turn], error: Exception, name: str, text: str
) -> None:
    """Its class, its message, its traceback."""
    first, second = turn(), turn()
    first.look()
    second.look()

    first.leave(error)
    first.end()

    assert second.look() is State.FAILED
    with pytest.raises(UdfRuntimeError, match=text) as caught:
        raise second.error
    assert caught.value.child_exception_class == name
    assert name in str(caught.value.traceback)


def test_error_of_ours_keeps_what_it_says(turn: Callable[[], Turn]) -> None:
    """All its fields travel."""
    first, second = turn(), turn()
    first.look()
    second.look()

    first.leave(ArgumentError("too many", parameter="n"))
    first.end()

    second.look()
    assert isinstance(second.error, ArgumentError)
    assert second.error.parameter == "n"


def test_value_that_no_file_holds_sends_everybody_off(turn: Callable[[], Turn]) -> None:
    """They need not wait for one another."""
    first, second, third = turn(), turn(), turn()
    for one in (first, second, third):
        one.look()

    first.leave(None)
    first.end()

    assert second.look() is State.NOT_KEPT
    assert third.look() is State.NOT_KEPT


def test_half_a_message_is_none(turn: Callable[[], Turn], tmp_path: Path) -> None:
    """A full disk cuts it."""
    first, second = turn(), turn()
    first.look()
    second.look()
    (tmp_path / "key").write_bytes(b"\x80\x04half")

    first.end()

    assert second.look() is State.OVER


def test_who_does_not_have_it_ends_nothing(turn: Callable[[], Turn], tmp_path: Path) -> None:
    """Neither by going nor by failing."""
    first, second = turn(), turn()
    first.look()
    second.look()

    second.leave(ValueError("mine"))
    second.end()

    assert turn().look() is State.TAKEN
    assert (tmp_path / "key").read_bytes() == b""


HOLDER = """
import sys, time
from fused_jupyter.caching.turns import Turn
turn = Turn(sys.argv[1])
print(turn.look().name, flush=True)
time.sleep(60)
"""


def test_lock_of_the_dead_is_free(turn: Callable[[], Turn], tmp_path: Path) -> None:
    """Killed at any point: the next one has it, those who waited too."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "key")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "MINE\n"
    waiting = turn()
    assert waiting.look() is State.TAKEN

    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    assert waiting.look() is State.MINE


def test_forked_child_does_not_keep_the_lock(turn: Callable[[], Turn]) -> None:
    """The function may fork, and its child may live on."""
    first, second = turn(), turn()
    first.look()
    second.look()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        first.end()

        assert second.look() is State.OVER
    finally:
        os.close(writer)
        os.waitpid(child, 0)
        os.close(reader)
