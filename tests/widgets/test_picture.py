from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import PictureError
from fused_jupyter.widgets import FusedMap
from fused_jupyter.widgets._picture import _FRAME

PNG = b"\x89PNG the rest of it"

Answer = Callable[[FusedMap, str], None]


class PhotographedMap(FusedMap):
    """A map with a page that answers in a thread of its own, as a subshell's messages come."""

    answer: Answer

    def send(self, content: Any, buffers: Any = None) -> None:
        if content["kind"] == "picture":
            threading.Thread(target=self.answer, args=(self, content["request"])).start()


@pytest.fixture
def shown(registry: Any) -> PhotographedMap:
    """A map that a page shows."""
    shown = PhotographedMap("quakes")
    shown.set_trait("view_bounds", [0, 0, 1, 1])
    shown.set_trait("idle", value=True)
    return shown


def photograph(shown: FusedMap, request: str) -> None:
    content = {"kind": "picture", "request": request, "type": "image/png", "width": 1200, "height": 600, "density": 2}
    shown._take_picture(content, [memoryview(PNG)])


def test_a_snapshot_is_the_pages_answer(shown: PhotographedMap, tmp_path: Path) -> None:
    """The bytes of the file, with what is known of them; also written, and kept in `picture`."""
    shown.answer = photograph

    picture = shown.snapshot(tmp_path / "map.png")

    assert picture == PNG
    assert (picture.width, picture.height, picture.density) == (1200, 600, 2)
    assert (tmp_path / "map.png").read_bytes() == PNG
    assert shown.picture == PNG


def test_a_snapshot_shows_itself_in_the_size_of_the_page(shown: PhotographedMap) -> None:
    """A picture of a fine screen is not twice as large in the notebook."""
    shown.answer = photograph

    data, metadata = shown.snapshot()._repr_mimebundle_()

    assert data["image/png"]
    assert metadata["image/png"] == {"width": 600, "height": 300}


def test_a_map_that_no_page_shows_says_so_at_once(registry: Any) -> None:
    """Nobody waits for a page that cannot come."""
    with pytest.raises(PictureError, match="show it in a cell first"):
        FusedMap("quakes").snapshot(timeout=3600)


@pytest.mark.parametrize(
    ("trait", "value", "text"),
    [("idle", False, "still on their way"), ("idle", True, "no page answered"), ("view_bounds", None, "no page drew")],
)
def test_a_page_that_stays_silent_is_given_up(shown: PhotographedMap, trait: str, value: Any, text: str) -> None:
    """The error says what is the likely reason, and what to do."""
    shown.answer = lambda _map, _request: None
    shown._is_shown = True
    shown.set_trait(trait, value)

    with pytest.raises(PictureError, match=text):
        shown.snapshot(timeout=0.05)


def test_what_the_page_complains_of_is_told(shown: PhotographedMap) -> None:
    """A lost WebGL context, say."""
    failed = {"kind": "picture", "error": "no canvas"}
    shown.answer = lambda target, request: target._take_picture({**failed, "request": request}, [])

    with pytest.raises(PictureError, match="could not draw a picture: no canvas"):
        shown.snapshot()


@pytest.mark.parametrize(
    ("kind", "data", "is_kept"),
    [
        ("image/png", PNG, True),
        ("image/jpeg", PNG, True),
        ("text/html", b"<script>", False),
        ("image/svg+xml", b"<svg/>", False),
        ("image/png", b"x" * 120_000, False),
    ],
)
def test_only_small_pictures_get_into_a_notebook(
    shown: PhotographedMap, kind: str, data: bytes, *, is_kept: bool
) -> None:
    """Nothing that could run, and nothing of more than 150 kB as base64."""
    shown._take_picture({"kind": "picture", "request": "", "type": kind, "width": 1, "height": 1}, [memoryview(data)])

    assert (kind in shown._kept()) is is_kept
    assert shown._kept().keys() <= {kind, "text/plain"}


def test_no_picture_is_kept_where_that_is_not_wanted(shown: PhotographedMap) -> None:
    """`keep_picture` turns it off."""
    shown.keep_picture = False

    shown._take_picture({"kind": "picture", "request": "", "type": "image/png"}, [memoryview(PNG)])

    assert "image/png" not in shown._kept()


def test_what_stands_around_a_map_runs_nothing() -> None:
    """It is style and text: a notebook that is not trusted shows it too."""
    assert "<script" not in _FRAME
    assert "on" not in {word.partition("=")[0][:2] for word in _FRAME.partition("</style>")[2].split() if "=" in word}
