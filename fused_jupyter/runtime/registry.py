"""The kernel-side registry: which UDF a name means now."""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable

from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.udfs import UdfDefinition

OnRegistered = Callable[[UdfDefinition], None]

_log = logging.getLogger(__name__)


class Registry:
    """Names and their newest definitions. Safe to use from any thread: widgets answer on subshell threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._definitions: dict[str, UdfDefinition] = {}
        self._listeners: list[OnRegistered] = []

    def register(self, definition: UdfDefinition) -> None:
        """Make a definition what its name means, and tell all who listen."""
        with self._lock:
            self._definitions[definition.name] = definition
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(definition)
            except Exception:  # noqa: BLE001 - a map that is being closed must not stop the cell that was run
                _log.exception("a listener of the UDF registry failed")

    def get(self, name: str) -> UdfDefinition:
        """What the name means now.

        Raises:
            UnknownUdfError: nothing; says which names are near.
        """
        with self._lock:
            if (definition := self._definitions.get(name)) is not None:
                return definition
            raise UnknownUdfError(unknown_udf(name, list(self._definitions)), udf=name)

    def all(self) -> tuple[UdfDefinition, ...]:
        """Every registered definition, oldest first."""
        with self._lock:
            return tuple(self._definitions.values())

    def subscribe(self, listener: OnRegistered) -> Callable[[], None]:
        """Call `listener` after each registration, in the thread that registers.

        Returns:
            What ends the subscription.
        """
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe


def unknown_udf(name: str, known: list[str]) -> str:
    """What to say to somebody who asked for a name that is not there."""
    near = difflib.get_close_matches(name, known, n=2)
    if near:
        return f"no UDF is called {name!r}; did you mean {' or '.join(near)}?"
    there = f"there are {', '.join(sorted(known)[:10])}" if known else "none is registered; run a %%fused_udf cell"
    return f"no UDF is called {name!r}; {there}"
