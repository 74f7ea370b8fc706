"""`fused.runs` and `fused.cancel`: what goes on, and an end to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fused_jupyter.runtime import current_kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run that waits for a worker, or has one."""

    run_id: str
    udf: str
    tile: tuple[int, int, int] | None
    """(z, x, y); None where the UDF runs as a file."""
    client: str
    """Who asked: `kernel` for this notebook, else a name that a map or another program has."""
    state: Literal["waiting", "running"]
    queue_seconds: float
    seconds: float
    """How long it has been running."""

    def cancel(self) -> None:
        """Stop it, see `cancel`."""
        cancel(self.run_id)


def runs() -> list[ActiveRun]:
    """What runs and waits in this kernel's workers now, whoever asked for it, the oldest first.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def nap():
    ...     import time
    ...     time.sleep(0.1)
    >>> nap()
    >>> runs()
    []
    """
    return [_active(run) for run in current_kernel().status()["active"]]


def cancel(run_id: str) -> None:
    """Stop a run; from another cell, thread or program than the one that waits for it.

    Who waits gets a `CancelledRunError`, and so does everybody who had asked for the same meanwhile. The process is
    ended, with all that it started, and another one takes its place. A run that waits for a worker does not begin.

    Args:
        run_id: its id, from `runs()`, `%fused_top`, the header `X-Fused-Run` or the log.

    Raises:
        UnknownRunError: no such run waits or goes on; it may have just ended.

    >>> cancel("0123456789ab")
    Traceback (most recent call last):
    ...
    fused_jupyter.errors.UnknownRunError: no run '0123456789ab' waits or goes on; %fused_top shows those that do
    """
    current_kernel().cancel(run_id)


def _active(run: Mapping[str, Any]) -> ActiveRun:
    return ActiveRun(
        run_id=run["run_id"],
        udf=run["udf"],
        tile=None if run["tile"] is None else tuple(run["tile"]),
        client=run["client"],
        state=run["state"],
        queue_seconds=run["queue_seconds"],
        seconds=run["seconds"],
    )
