"""The panel of `%fused_top`: looked at every second, for as long as a page shows it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import anywidget
import traitlets

from fused_jupyter.errors import FusedError
from fused_jupyter.widgets._assets import asset

_SECONDS = 1.0
_PATIENCE_SECONDS = 15.0
"""Time without a word from a page after which nobody looks any more. A kernel that runs a cell hears nobody."""


class Snapshot(Protocol):
    """The activity of a host at one moment. Its repr is the text for whoever has no browser."""

    def to_json(self) -> dict[str, Any]:
        """What the page draws; its twin is `State` in js/src/top.ts."""


class LiveTop(anywidget.AnyWidget):
    """What `%fused_top` shows.

    Args:
        look: gives the present state; called in a thread.
        cancel: stops a run.
        is_busy: whether a cell runs, so that the kernel hears no page.
        kernel_id: what the server calls this kernel.
    """

    # Text, not a path: see FusedMap.
    _esm: ClassVar = asset("top.js").read_text(encoding="utf-8")

    state = traitlets.Dict(read_only=True).tag(sync=True)
    kernel_id = traitlets.Unicode(read_only=True).tag(sync=True)

    def __init__(
        self,
        look: Callable[[], Snapshot],
        *,
        cancel: Callable[[str], None],
        is_busy: Callable[[], bool],
        kernel_id: str,
    ) -> None:
        self._look_now = look
        self._cancel = cancel
        self._is_busy = is_busy
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._seen_at: float | None = None
        super().__init__()
        self.set_trait("kernel_id", kernel_id)
        self._look()
        self.on_msg(self._hear)
        self._follow()

    @property
    def is_followed(self) -> bool:
        """Whether it is looked at every second now."""
        return self._thread is not None

    def close(self) -> None:
        """Look no more."""
        self._seen_at = None
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and the whole text beside it."""
        shown: Any = super()._repr_mimebundle_(**options) or {}
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        return {**data, "text/plain": repr(self._look_now())}, metadata

    def _hear(self, _: object, content: Mapping[str, Any], __: Sequence[Any]) -> None:
        if (act := self._acts.get(content.get("kind", ""))) is not None:
            act(self, content)

    def _note_viewer(self, _: Mapping[str, Any]) -> None:
        self._follow()

    def _note_leaving(self, _: Mapping[str, Any]) -> None:
        self._seen_at = None  # another view of this widget says soon that it is there

    def _stop_run(self, content: Mapping[str, Any]) -> None:
        with contextlib.suppress(FusedError):  # it has just ended
            self._cancel(str(content.get("run")))

    _acts: ClassVar[Mapping[str, Callable[[LiveTop, Mapping[str, Any]], None]]] = {
        "here": _note_viewer,
        "gone": _note_leaving,
        "stop": _stop_run,
    }
    """By kind of message. Twin: js/src/top.ts."""

    def _follow(self) -> None:
        with self._lock:
            self._seen_at = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_looking, name="fused-top", daemon=True)
                self._thread.start()

    def _keep_looking(self) -> None:
        while True:
            time.sleep(_SECONDS)
            with self._lock:
                if self.comm is None or not self._has_viewer():
                    self._thread = None
                    return
            self._look()

    def _has_viewer(self) -> bool:
        now = time.monotonic()
        if self._seen_at is not None and self._is_busy():
            self._seen_at = now
        return self._seen_at is not None and now - self._seen_at < _PATIENCE_SECONDS

    def _look(self) -> None:
        self.set_trait("state", self._look_now().to_json() | {"at": time.time()})
