"""Pictures of a map: one when you ask for it, and the last look, which a saved notebook keeps."""

from __future__ import annotations

import base64
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import traitlets

from fused_jupyter.errors import PictureError
from fused_jupyter.widgets._hearing import Hearing
from fused_jupyter.widgets._protocol import PICTURE

_SECONDS = 30.0
_AGAIN_SECONDS = 1.0
_HINT = "A picture of a map that was live when this notebook was saved. Run its cell again to move and change it."


class Picture(bytes):
    """A picture as PNG, which a notebook shows."""

    width: int
    """In pixels of the file."""
    height: int
    density: float
    """How many pixels of the file make one of the page, in each direction: 2 on most laptops."""

    @classmethod
    def of(cls, content: Mapping[str, Any], data: bytes) -> Self:
        """The picture in a message."""
        picture = cls(data)
        picture.width, picture.height = int(content.get("width", 0)), int(content.get("height", 0))
        picture.density = float(content.get("density", 1))
        return picture

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        size = {"width": round(self.width / self.density), "height": round(self.height / self.density)}
        return {"image/png": base64.b64encode(self).decode(), "text/plain": repr(self)}, {"image/png": size}

    def __repr__(self) -> str:
        return f"<Picture of {self.width} x {self.height} pixels, {len(self)} bytes>"


@dataclass(slots=True)
class _Order:
    """A picture that somebody waits for."""

    done: threading.Event = field(default_factory=threading.Event)
    picture: Picture | None = None
    error: str = ""


class Pictures(Hearing):
    """The part of a map that has its picture taken; its twin is js/src/view/picture.ts."""

    keep_picture = traitlets.Bool(default_value=True).tag(sync=True)
    """Whether a saved notebook keeps the last look of the map, in 150 kB at most. JupyterLab and Notebook 7 show it
    when the notebook is opened again and its kernel is gone, and so do nbconvert and GitHub.

    - Type: `bool`
    - Default: `True`
    """

    picture = traitlets.Bytes(read_only=True)
    """The last picture that a page sent: of the last `snapshot`, or the small one that the notebook keeps.

    - Type: `bytes`, PNG or JPEG
    - Default: `b""` until a page shows the map
    """

    def __init__(self, **traits: Any) -> None:
        self._orders: dict[str, _Order] = {}
        self._is_shown = False
        super().__init__(**traits)

    def snapshot(self, path: str | os.PathLike[str] | None = None, *, timeout: float = _SECONDS) -> Picture:
        """Take a picture of the map as the page shows it, with its legend and its attribution.

        It has the page's own pixels: on a screen of density 2, a map 800 wide gives 1600. The page waits until all
        tiles are there.

        Args:
            path: where to write it, too.
            timeout: seconds to wait.

        Returns:
            The PNG file as `bytes`; as the last line of a cell it is shown.

        Raises:
            PictureError: no page shows the map, its tiles take longer, or the page cannot answer while a cell runs.
        """
        if not self._is_shown and not self.view_bounds:
            raise PictureError(
                "no page shows this map, and only a page draws it: show it in a cell first, and call snapshot() in the "
                "next one"
            )
        name, order = secrets.token_hex(8), _Order()
        self._orders[name] = order
        try:
            deadline = time.monotonic() + timeout
            # Said again: a page that is still drawing the map for the first time does not listen yet.
            while not order.done.is_set() and (left := deadline - time.monotonic()) > 0:
                self.send({"kind": PICTURE, "request": name})
                order.done.wait(min(left, _AGAIN_SECONDS))
            if not order.done.is_set():
                raise PictureError(self._reason(timeout))
        finally:
            self._orders.pop(name, None)
        if order.picture is None:
            raise PictureError(f"the page could not draw a picture: {order.error}")
        if path is not None:
            Path(path).write_bytes(order.picture)
        return order.picture

    def _ipython_display_(self, **_: object) -> None:
        """The map between two outputs of which nothing is seen until it is gone."""
        from IPython.display import display

        self._is_shown = True
        bundle, metadata = self._repr_mimebundle_() or ({}, {})
        if not self.keep_picture:
            display(bundle, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]  # IPython's
            return
        display({"text/html": _FRAME, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]  # same
        display(bundle, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]  # same
        display(self._kept(), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]  # same

    @property
    def _display_id(self) -> str:
        return f"fused-picture-{self.model_id}"

    def _kept(self) -> dict[str, Any]:
        """What the notebook keeps in the map's place."""
        if not self._small:
            return {"text/plain": ""}
        kind, data = self._small
        return {kind: base64.b64encode(data).decode(), "text/plain": "<picture of the map>"}

    _small: tuple[str, bytes] | None = None

    def _take_picture(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """A message of the page; comes in any thread."""
        data = bytes(buffers[0]) if buffers else b""
        order = self._orders.get(str(content.get("request", "")))
        if data:
            self.set_trait("picture", data)
        if order is not None:
            order.picture = Picture.of(content, data) if data else None
            order.error = str(content.get("error", "it sent none"))
            order.done.set()
        elif data and not content.get("request") and self.keep_picture:
            self._keep(str(content.get("type", "")), data)

    def _keep(self, kind: str, data: bytes) -> None:
        if kind not in _KEPT_TYPES or len(data) > _KEPT_BYTES:
            return
        self._small = kind, data
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is not None and self._is_shown:
            transient = {"display_id": self._display_id}
            shell.display_pub.publish(data=self._kept(), metadata={}, transient=transient, update=True)

    def _reason(self, timeout: float) -> str:
        """Why a page gave no picture."""
        last = " m.picture has the last one that came." if self.picture else ""
        if not self.view_bounds:
            return (
                f"no page drew this map within {timeout:g} s; scroll to it, and call snapshot() in another cell.{last}"
            )
        if not self.idle:
            return (
                f"the map's tiles were still on their way after {timeout:g} s; snapshot(timeout=…) waits longer.{last}"
            )
        return (
            f"no page answered within {timeout:g} s. Either none shows this map any more: show it again. Or this "
            "kernel hears pages only between cells (ipykernel before 7): the picture is then on its way, and the next "
            f"cell has it as m.picture.{last}"
        )


_KEPT_TYPES = ("image/png", "image/jpeg")
_KEPT_BYTES = 115_000

# JupyterLab puts "Error displaying widget" where a widget was, and stores no picture of it. So a map is the middle one
# of three outputs: what says why it does not move, the map, its picture. Style alone decides which of them are seen, so
# nothing has to run when a notebook is opened, and nbconvert's pages, which have the same classes, look the same.
_CHILD = ".jp-OutputArea-child"
_FRAME = f"""<style>
.fused-kept {{ display: none; font-size: 13px; opacity: .75; animation: fused-kept 1.5s steps(1) both; }}
@keyframes fused-kept {{ from {{ visibility: hidden; }} }}
{_CHILD}:has(.fused-kept):not(:has(+ {_CHILD} .fused-map)) .fused-kept {{ display: block; }}
{_CHILD}:has(.fused-kept) + {_CHILD}:not(:has(.fused-map)),
{_CHILD}:has(.fused-kept):has(+ {_CHILD} .fused-map),
{_CHILD}:has(.fused-kept) + {_CHILD}:has(.fused-map) + {_CHILD} {{ display: none; }}
</style><div class="fused-kept" hidden>{_HINT}</div>"""
