"""`fused.run`: run a UDF and give the Python object, or all that is known of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from fused_jupyter.api.profile import Profile
from fused_jupyter.api.result import RunResult
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    FusedError,
    HostLostError,
    UdfTimeoutError,
    WorkerLostError,
)
from fused_jupyter.runtime import current
from fused_jupyter.runtime.outcome import Outcome, hide, show
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import parse_max_age

T = TypeVar("T")

_WORTH_A_RETRY = (BusyError, HostLostError, UdfTimeoutError, WorkerLostError)
"""What may go well the next time. A UDF that raised would raise again."""

_CHOICES: dict[str, tuple[str, ...]] = {"engine": ("local", "remote", "realtime"), "type": ("tile", "file")}


def run(  # noqa: PLR0913 - those of the reference
    udf: Udf | str | None = None,
    *,
    x: int | None = None,
    y: int | None = None,
    z: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    cache_max_age: str | int | None = None,
    cache: bool | None = None,
    max_retry: int | None = None,
    verbose: bool | None = None,
    type: Literal["tile", "file"] | None = None,  # noqa: A002 - the name in the reference
    engine: Literal["local", "remote", "realtime"] | None = None,
    instance_type: str | None = None,
    disk_size_gb: int | None = None,
    sync: bool | None = None,
    _return_response: bool = False,
    _ignore_unknown_arguments: bool = False,
    **arguments: Any,
) -> Any:
    """Run a UDF in a worker process and give what it returns.

    What it prints appears as it comes; stopping the cell stops the run.

    Where the UDF has a parameter called as one of the options below, the option is the UDF's: `run(f, type="bus")`
    calls `f(type="bus")`. Only `udf` and `parameters` are never the UDF's; it gets such arguments by `parameters`.

    Args:
        udf: a UDF, or the name of a registered one.
        x: tile column, with `y` and `z`. The three make the area that the UDF is run for, unless it has parameters
            of these names.
        y: tile row from the north.
        z: zoom.
        parameters: arguments of the UDF; they win over those by keyword.
        cache_max_age: take a result no older than this (seconds, `10s`, `5m`, `48h`, `7d`), and keep this one.
        cache: False for `cache_max_age=0`.
        max_retry: how often to try again when the process was lost, the time was up or no worker was free.
        verbose: False shows nothing of what the UDF prints.
        type: `file` hands `x`, `y` and `z` to the UDF as arguments; `tile` insists on them.
        engine: where Fused's cloud would run it, like the two below; here it runs in a worker of this machine.
        instance_type: see `engine`.
        disk_size_gb: see `engine`.
        sync: True, the only way there is.
        _return_response: give a `RunResult`, as `run_result` does.
        _ignore_unknown_arguments: leave out arguments that the UDF has no parameter for.
        **arguments: arguments of the UDF.

    Returns:
        The object that the UDF returned.

    Raises:
        UnknownUdfError: no UDF of that name.
        ArgumentError: an argument is unknown, missing or does not fit.
        UdfRuntimeError: the UDF raised; `child_exception_class` says what, `traceback` where, `stdout` and `stderr`
            what it had printed.
        UdfTimeoutError: it ran longer than allowed (`FUSED_FILE_TIMEOUT`, 120 s).
        WorkerLostError: its process died.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def double(n: int = 2):
    ...     return 2 * n
    >>> run(double, n=21)
    42
    """
    options = {
        "x": x,
        "y": y,
        "z": z,
        "cache_max_age": cache_max_age,
        "cache": cache,
        "max_retry": max_retry,
        "verbose": verbose,
        "type": type,
        "engine": engine,
        "instance_type": instance_type,
        "disk_size_gb": disk_size_gb,
        "sync": sync,
    }
    call = _Call.of(_udf(udf), options, {**arguments, **(parameters or {})})
    if _ignore_unknown_arguments:
        call = call.without_unknown()
    return call.result() if _return_response else call.value()


def run_result(udf: Udf | str | None = None, **options: Any) -> RunResult:
    r"""Run a UDF and give all that is known of the run: the object, output, time, memory, and the error if it failed.

    Args:
        udf: a UDF, or the name of a registered one.
        **options: as for `run`.

    Returns:
        The result. What goes wrong in the run does not raise, it stands in `error`.

    Raises:
        UnknownUdfError: no UDF of that name.
        ArgumentError: an option is none, or half a tile was given.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def greet(name: str):
    ...     print("hello", name)
    ...     return len(name)
    >>> result = run_result(greet, name="Ada")
    hello Ada
    >>> result.data, result.stdout, result.error
    (3, 'hello Ada\n', None)
    """
    result: RunResult = run(udf, **options, _return_response=True)
    return result


def profile(
    udf: Udf,
    *,
    parameters: Mapping[str, Any],
    x: int | None = None,
    y: int | None = None,
    z: int | None = None,
    **arguments: Any,
) -> Profile:
    """Run a UDF and measure the time of each line; see `Udf.profile`."""
    call = _Call.of(udf, {"x": x, "y": y, "z": z}, {**arguments, **parameters})
    outcome = current().profile(call.udf.definition, call.arguments, tile=call.tile)
    return Profile(
        udf=udf,
        data=outcome.value,
        seconds=outcome.seconds,
        peak_memory=outcome.peak_memory,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        measured=outcome.lines or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A run as it will be asked for."""

    udf: Udf
    arguments: Mapping[str, Any]
    tile: Tile | None
    cache_max_age: str | None
    max_retry: int
    is_shown: bool

    @classmethod
    def of(cls, udf: Udf, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> _Call:
        own = {parameter.name for parameter in udf.definition.parameters if parameter.kind != "variadic"}
        said = {name: value for name, value in options.items() if value is not None}
        indices: dict[str, Any] = {name: said.pop(name) for name in ("x", "y", "z") if name in said}
        of_the_udf = {name: said.pop(name) for name in own & said.keys()}
        _check(said)
        tile = _tile(udf, indices, kind=said.get("type"))
        return cls(
            udf=udf,
            arguments={**of_the_udf, **({} if tile else indices), **arguments},
            tile=tile,
            cache_max_age=_max_age(said),
            max_retry=said.get("max_retry", 0),
            is_shown=said.get("verbose", True),
        )

    def without_unknown(self) -> _Call:
        """The same without arguments that the UDF has no parameter for."""
        if any(parameter.kind == "variadic" for parameter in self.udf.definition.parameters):
            return self
        own = {parameter.name for parameter in self.udf.definition.parameters}
        return replace(self, arguments={name: value for name, value in self.arguments.items() if name in own})

    def value(self) -> Any:
        """Run it and give the object."""
        if not self.is_shown:
            return self._tried(self._outcome).value
        return self._tried(
            lambda: current().run(self.udf.definition, self.arguments, tile=self.tile, cache_max_age=self.cache_max_age)
        )

    def result(self) -> RunResult:
        """Run it and give all that is known."""
        try:
            outcome = self._tried(self._outcome)
        except FusedError as exc:
            return RunResult(
                udf=self.udf,
                stdout=exc.stdout,
                stderr=exc.stderr,
                seconds=exc.seconds,
                peak_memory=exc.peak_memory,
                error=exc,
            )
        return RunResult(
            udf=self.udf,
            data=outcome.value,
            stdout=outcome.stdout,
            stderr=outcome.stderr,
            seconds=outcome.seconds,
            peak_memory=outcome.peak_memory,
            cached=outcome.cached,
        )

    def _outcome(self) -> Outcome:
        return current().outcome(
            self.udf.definition,
            self.arguments,
            tile=self.tile,
            cache_max_age=self.cache_max_age,
            on_text=show if self.is_shown else hide,
        )

    def _tried(self, run: Callable[[], T]) -> T:
        """What `run` gives, asked again where that may help."""
        tries_left = self.max_retry
        while True:
            try:
                return run()
            except _WORTH_A_RETRY as exc:
                if tries_left <= 0:
                    raise
                tries_left -= 1
                time.sleep(exc.retry_after or 0)


def _udf(udf: Udf | str | None) -> Udf:
    if isinstance(udf, str):
        return Udf(current().registry.get(udf))
    if isinstance(udf, Udf):
        return udf
    came = "nothing" if udf is None else f"a {type(udf).__name__}"
    raise ArgumentError(f"udf: got {came}, need a UDF, or the name of one; @fused.udf makes one of a function")


def _check(options: Mapping[str, Any]) -> None:
    for name, choices in _CHOICES.items():
        if (value := options.get(name, choices[0])) not in choices:
            raise ArgumentError(f"{name}: got {value!r}, need {' or '.join(choices)}")
    retries = options.get("max_retry", 0)
    if not isinstance(retries, int) or retries < 0:
        raise ArgumentError(f"max_retry: got {retries!r}, need a whole number, 0 or more")
    if not options.get("sync", True):
        raise ArgumentError("sync: got False, and a run that does not wait is not there; asyncio.to_thread makes one")


def _tile(udf: Udf, indices: Mapping[str, int], *, kind: str | None) -> Tile | None:
    """The tile, where x, y and z mean one; None where they are the UDF's own arguments."""
    own = {parameter.name for parameter in udf.definition.parameters}
    takes_any = len(indices) < 3 and any(each.kind == "variadic" for each in udf.definition.parameters)
    if kind == "file" or (kind is None and (takes_any or indices.keys() <= own)):
        return None
    if len(indices) < 3:
        came = ", ".join(f"{name}={indices.get(name)}" for name in ("x", "y", "z"))
        raise ArgumentError(f"a tile needs x, y and z; got {came}")
    return Tile(indices["z"], indices["x"], indices["y"])


def _max_age(options: Mapping[str, Any]) -> str | None:
    age = options.get("cache_max_age")
    if options.get("cache", True):
        return None if age is None else str(age)
    if age is not None and parse_max_age(str(age)) != 0:
        raise ArgumentError(f"cache_max_age: got {age!r} with cache=False; leave out one of them")
    return "0"
