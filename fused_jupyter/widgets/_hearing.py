"""Keeps a widget's pages heard while a cell runs."""

from __future__ import annotations

from typing import Any

import anywidget


class Hearing(anywidget.AnyWidget):
    """A widget whose messages are handled beside the cells, where the front end asks for that.

    JupyterLab sends what a page says to a thread of its own, a subshell. ipykernel 7.4 hands it to the thread that
    spoke to the page last instead: after a cell has changed a trait, that is the main thread, which hears nothing until
    the cell ends. What is forgotten here is only that exception; kernels without it are left alone.
    """

    def open(self) -> None:
        """Connect to the front end."""
        super().open()
        self._forget_speaker()

    def _send(self, msg: Any, buffers: Any = None) -> None:  # as ipywidgets has them
        super()._send(msg, buffers)
        self._forget_speaker()

    def _forget_speaker(self) -> None:
        lock = getattr(self.comm, "_reply_subshell_lock", None)
        if lock is not None:
            with lock:
                self.comm.__dict__.pop("_reply_subshell_id", None)
