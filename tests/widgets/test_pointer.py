"""What Python hears from the map: traits, callbacks, and what happens to their errors."""

from __future__ import annotations

import logging
import threading
import traceback
from types import SimpleNamespace
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets import FusedMap, TileLayer
from fused_jupyter.widgets._tooltip import tooltip_to_json

CLICK = {"lngLat": [1, 2], "layer": "quakes", "properties": {"mag": 5}, "id": None, "values": None, "features": []}


@pytest.fixture
def shown(registry: Any) -> FusedMap:
    """A map of the UDF quakes."""
    assert registry
    return FusedMap("quakes")


def from_page(shown: FusedMap, **state: Any) -> None:
    """What the widget does with a message of its page."""
    shown._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def test_a_click_reaches_trait_and_callback(shown: FusedMap) -> None:
    """The callback gets what the trait has, once for each click, until it is forgotten."""
    heard: list[Any] = []

    @shown.on_click
    def hear(event: dict[str, Any]) -> None:
        heard.append(event)

    shown.on_click(hear)
    from_page(shown, clicked=CLICK)
    from_page(shown, clicked=CLICK | {"time": 2})
    shown.forget(hear)
    from_page(shown, clicked=CLICK | {"time": 3})

    assert heard == [CLICK, CLICK | {"time": 2}]
    assert shown.clicked == CLICK | {"time": 3}


def test_hovering_is_told(shown: FusedMap) -> None:
    """What the pointer is on, and that it left."""
    heard: list[Any] = []
    shown.on_hover(heard.append)

    from_page(shown, hovered=CLICK)
    from_page(shown, hovered={})

    assert heard == [CLICK, {}]


def test_each_failed_tile_is_told_once(shown: FusedMap) -> None:
    """The list grows and is told again and again; who listens hears of a tile when it fails, and when it fails anew."""
    heard: list[Any] = []
    shown.on_tile_error(heard.append)
    one, other = ({"layer": "quakes", "tile": f"1/{x}/0", "status": 422, "error": "no", "line": 1} for x in (0, 1))

    for failures in ([one], [one, other], [], [one]):
        from_page(shown, tile_errors=failures)

    assert heard == [one, other, one]


def test_an_error_of_a_callback_is_logged_and_told_and_stops_no_other(
    shown: FusedMap, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback is in the log, the page gets the message, and the next callback is called."""
    heard: list[Any] = []
    told: list[str] = []
    shown.on_click(lambda event: event["properties"]["depth"])
    shown.on_click(heard.append)
    shown.observe(lambda change: told.append(change["new"]), "callback_error")

    with caplog.at_level(logging.ERROR):
        from_page(shown, clicked=CLICK)
        from_page(shown, clicked=CLICK | {"time": 2})

    assert len(heard) == 2
    assert shown.callback_error == "on_click: KeyError: 'depth'"
    assert told == ["on_click: KeyError: 'depth'", "", "on_click: KeyError: 'depth'"]
    assert len(caplog.records) == 2
    assert "KeyError" in caplog.text


def test_in_a_notebook_output_belongs_to_the_cell_that_gave_the_callback(
    shown: FusedMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also its traceback; and when the callback has ended, the thread is as it was."""
    shell = FakeShell()
    monkeypatch.setattr("fused_jupyter.widgets._callbacks._shell", lambda: shell)
    shell.parent = "cell 3"
    shown.on_click(lambda _: shell.events.append(f"called in {shell.parent}"))
    shown.on_click(fail)
    shell.parent = "the click"

    from_page(shown, clicked=CLICK)

    assert shell.events == ["called in cell 3", "traceback of ['fail'] in cell 3"]
    assert shell.parent == "the click"


def fail(event: Any) -> None:
    """A callback with an error in it."""
    raise KeyError(event["layer"])


class FakeShell(SimpleNamespace):
    """ipykernel's shell, as far as callbacks use it."""

    def __init__(self) -> None:
        super().__init__(parent="", events=[])

    def get_parent(self) -> str:
        return str(self.parent)

    def set_thread_parent(self, parent: str) -> str:
        self.parent, before = parent, self.parent
        return str(before)

    def reset_thread_parent(self, before: str) -> None:
        self.parent = before

    def showtraceback(self, exception: tuple[Any, Any, Any]) -> None:
        functions = [frame.name for frame in traceback.extract_tb(exception[2])]
        self.events.append(f"traceback of {functions} in {self.parent}")


def test_what_cannot_be_called_is_refused_at_once(shown: FusedMap) -> None:
    """Not at the first click."""

    async def later(_: Any) -> None: ...

    with pytest.raises(ArgumentError, match="on_click: got 5, need a function"):
        shown.on_click(5)  # type: ignore[type-var]  that is the point
    with pytest.raises(ArgumentError, match="on_hover: later is async"):
        shown.on_hover(later)


def test_callbacks_may_listen_while_others_are_called(shown: FusedMap) -> None:
    """One that gives itself up or adds another breaks nothing, in whatever thread."""
    heard: list[str] = []

    def once(_: Any) -> None:
        heard.append("once")
        shown.forget(once)
        shown.on_click(lambda _: heard.append("new"))

    shown.on_click(once)
    for time in (1, 2):
        thread = threading.Thread(target=from_page, args=(shown,), kwargs={"clicked": CLICK | {"time": time}})
        thread.start()
        thread.join()

    assert heard == ["once", "new"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, "auto"),
        (True, "all"),
        (False, "none"),
        (["mag", "depth"], [["mag", "mag"], ["depth", "depth"]]),
        ({"mag": "Magnitude"}, [["mag", "Magnitude"]]),
    ],
)
def test_tooltips_are_sent_in_one_form(given: Any, sent: Any) -> None:
    """As js/src/protocol.ts has it."""
    assert TileLayer("quakes", tooltip=given).to_json()["tooltip"] == sent


@pytest.mark.parametrize("given", ["mag", 3, 1.5])
def test_a_tooltip_that_means_nothing_is_refused(given: Any) -> None:
    """The message says what would fit."""
    with pytest.raises(ArgumentError, match="tooltip: got .*need True, False"):
        tooltip_to_json(given)
