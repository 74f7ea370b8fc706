"""Functions of users that a map calls; what they print and what they raise is seen below their cell."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import anywidget
import traitlets

from fused_jupyter.errors import ArgumentError

_LOG = logging.getLogger(__name__)

Function = Callable[[Any], object]
Listener = TypeVar("Listener", bound=Function)


@dataclass(frozen=True, slots=True)
class _Callback:
    function: Function
    cell: Any
    """The message that ran the cell in which the function was given; None outside of notebooks."""


class Callbacks:
    """The functions that hear of one kind of event.

    They run in the thread in which the page's messages come: with ipykernel 7 that is one beside the main thread, so
    they are called while a cell runs. One after the other; a slow one makes those after it wait.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._callbacks: tuple[_Callback, ...] = ()

    def add(self, function: Function) -> None:
        """Call it from now on, once for each event however often it is added.

        Raises:
            ArgumentError: it cannot be called, or would have to be awaited.
        """
        if not callable(function):
            raise ArgumentError(f"{self._name}: got {function!r}, need a function of one argument")
        if iscoroutinefunction(function):
            raise ArgumentError(f"{self._name}: {function.__name__} is async, and nobody would await it; need a def")
        self.discard(function)
        shell = _shell()
        cell = shell.get_parent() if hasattr(shell, "get_parent") else None
        self._callbacks = (*self._callbacks, _Callback(function, cell))

    def discard(self, function: Function) -> None:
        """Call it no more."""
        self._callbacks = tuple(one for one in self._callbacks if one.function != function)

    def tell(self, event: Any) -> str:
        """Call them all.

        Returns:
            What the last one that failed had to say; empty where none did.
        """
        said = ""
        for callback in self._callbacks:
            with _in_cell(callback.cell):
                try:
                    callback.function(event)
                except Exception as exc:  # noqa: BLE001  a user's function; its error goes to the user, and the map goes on
                    said = f"{self._name}: {type(exc).__name__}: {exc}"
                    self._show(exc)
        return said

    def _show(self, error: Exception) -> None:
        """The traceback, from the user's function on, where the user looks."""
        shell = _shell()
        if shell is None:
            _LOG.exception("a callback of %s failed", self._name)
        else:
            ours = error.__traceback__
            shell.showtraceback((type(error), error, ours and ours.tb_next))


class Listening(anywidget.AnyWidget):
    """The part of a map that knows who wants to hear of what."""

    callback_error = traitlets.Unicode(read_only=True).tag(sync=True)
    """What the last callback that failed had to say; the map shows it. The traceback is below the callback's cell.

    - Type: `str`
    - Default: `""`
    """

    def __init__(self, **traits: Any) -> None:
        self._listeners: dict[str, Callbacks] = {}
        super().__init__(**traits)

    def forget(self, callback: Function) -> None:
        """Call this no more, whatever it was given to."""
        for callbacks in self._listeners.values():
            callbacks.discard(callback)

    def _listen(self, name: str, callback: Listener) -> Listener:
        self._listeners.setdefault(name, Callbacks(name)).add(callback)
        return callback

    def _tell(self, name: str, event: Any) -> None:
        if (callbacks := self._listeners.get(name)) and (said := callbacks.tell(event)):
            self.set_trait("callback_error", "")  # so that the same error is seen again
            self.set_trait("callback_error", said)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


@contextmanager
def _in_cell(cell: Any) -> Iterator[None]:
    """What is printed here, in this thread, belongs to that cell.

    Without it, JupyterLab would have no place for it: the message that made us run came from no cell. ipykernel before
    7.1 cannot say it for one thread; there it goes to the cell that ran last.
    """
    shell = _shell()
    if not cell or not hasattr(shell, "set_thread_parent"):
        yield
        return
    tokens = shell.set_thread_parent(cell)
    try:
        yield
    finally:
        # Texts wait in a buffer for the parent of the moment at which they were written.
        sys.stdout.flush()
        sys.stderr.flush()
        shell.reset_thread_parent(tokens)
