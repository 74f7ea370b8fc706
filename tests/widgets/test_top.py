from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from anywidget import AnyWidget

from fused_jupyter.errors import UnknownRunError
from fused_jupyter.magics.top import Row, Table, Top
from fused_jupyter.widgets import LiveTop, _top

SOURCE = (Path(__file__).parents[2] / "js" / "src" / "top.ts").read_text()


class Watched:
    """Counts how often it is looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_busy = False
        self.cancelled: list[str] = []

    def look(self) -> Top:
        self.looks += 1
        return Top(f"look {self.looks}", ())

    def cancel(self, run_id: str) -> None:
        self.cancelled.append(run_id)
        raise UnknownRunError("it has just ended")


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def top(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveTop]:
    """Looks every 20 ms, and for 200 ms without a word from a page."""
    monkeypatch.setattr(_top, "_SECONDS", 0.02)
    monkeypatch.setattr(_top, "_PATIENCE_SECONDS", 0.2)
    made = LiveTop(watched.look, cancel=watched.cancel, is_busy=lambda: watched.is_busy, kernel_id="k1")
    yield made
    made.close()
    assert eventually(lambda: not made.is_followed)


def eventually(claim: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until and not claim():
        time.sleep(0.01)
    return claim()


def say(top: LiveTop, kind: str, **content: Any) -> None:
    top._handle_custom_msg({"kind": kind, **content}, [])


def test_the_state_is_there_at_once_and_stays_fresh(top: LiveTop, watched: Watched) -> None:
    """As long as somebody looks."""
    assert top.state["summary"].startswith("look ")
    assert eventually(lambda: top.state["summary"] == f"look {max(watched.looks, 5)}")


def test_nobody_looks_for_a_page_that_says_nothing(top: LiveTop, watched: Watched) -> None:
    """The thread ends; a page that comes again starts it again."""
    assert eventually(lambda: not top.is_followed)
    looks = watched.looks
    time.sleep(0.1)
    assert watched.looks == looks

    say(top, "here")

    assert top.is_followed
    assert eventually(lambda: watched.looks > looks)


def test_a_running_cell_is_no_silence(top: LiveTop, watched: Watched) -> None:
    """The kernel hears no page then; afterwards the page has its time again."""
    watched.is_busy = True
    time.sleep(0.5)
    assert top.is_followed

    watched.is_busy = False

    assert eventually(lambda: not top.is_followed)


def test_a_view_that_is_closed_ends_it_at_once(top: LiveTop, watched: Watched) -> None:
    """Also while a cell runs; another view says that it is there."""
    watched.is_busy = True
    say(top, "gone")
    assert eventually(lambda: not top.is_followed)

    say(top, "here")

    assert top.is_followed


def test_a_button_stops_a_run(top: LiveTop, watched: Watched) -> None:
    """One that has just ended is no error; what is no message of ours does nothing."""
    say(top, "stop", run="0123456789ab")
    say(top, "nonsense")
    say(top, "")

    assert watched.cancelled == ["0123456789ab"]


def test_the_whole_text_is_beside_the_widget(top: LiveTop) -> None:
    """For terminals, and for notebooks that are read without a kernel."""
    data, _ = top._repr_mimebundle_()

    assert data["text/plain"].startswith("look ")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_both_halves_name_the_same_things() -> None:
    """Traits, messages, and the shape of the state."""

    def constant(name: str) -> set[str]:
        body = re.search(rf"export const {name} = \{{(.*?)\}} as const", SOURCE, re.DOTALL)
        assert body
        return set(re.findall(r'\w+: "(\w+)"', body[1]))

    def interface(name: str) -> set[str]:
        body = re.search(rf"export interface {name} \{{(.*?)\n\}}", SOURCE, re.DOTALL)
        assert body
        return set(re.findall(r"^\s*(\w+): ", body[1], re.MULTILINE))

    assert constant("TRAITS") == set(LiveTop.class_traits(sync=True)) - set(AnyWidget.class_traits(sync=True))
    assert constant("MESSAGES") == set(LiveTop._acts)
    for name, shape in (("State", Top), ("Table", Table), ("Row", Row)):
        assert interface(name) == {field.name for field in fields(shape)}
