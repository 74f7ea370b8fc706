"""What widgets ask of the runtime, and how they follow it without being kept alive by it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar, cast

from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Reply, Run

Owner = TypeVar("Owner")


class Registry(Protocol):
    """The UDFs of this kernel."""

    def get(self, name: str) -> UdfDefinition:
        """The newest definition; raises UnknownUdfError."""

    def subscribe(self, callback: Callable[[UdfDefinition], None]) -> Callable[[], None]:
        """Calls back in any thread after each registration; gives what ends that."""


class Runtime(Protocol):
    """The runtime of this kernel, as far as widgets need it."""

    @property
    def kernel_id(self) -> str:
        """What the server calls this kernel."""

    @property
    def registry(self) -> Registry:
        """The UDFs of this kernel."""

    def start(self) -> None:
        """Start what runs UDFs, in the background; a second call does nothing."""

    def answer(self, run: Run, *, on_wait: Callable[[], None]) -> Future[tuple[Reply, bytes]]:
        """What comes of a page's request; cancelling it stops the run. `on_wait` is called now and then until then."""


def current_runtime() -> Runtime:
    """The runtime of this kernel; started if need be, which is why it is asked for late."""
    from fused_jupyter import runtime

    return cast("Runtime", runtime.current())


def follow(
    registry: Registry, owner: Owner, *, callback: Callable[[Owner, UdfDefinition], None]
) -> Callable[[], object]:
    """Call back with the owner after each registration, for as long as the owner lives.

    Returns:
        What ends it earlier; a second call does nothing.
    """
    reference = weakref.ref(owner)

    def deliver(definition: UdfDefinition) -> None:
        if (target := reference()) is not None:
            callback(target, definition)

    end = weakref.finalize(owner, registry.subscribe(deliver))
    end.atexit = False
    return end
