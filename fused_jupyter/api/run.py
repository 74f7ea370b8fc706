"""`fused.run` and `fused.run_async`: run a UDF and give the Python object, or all that is known of the run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from fused_jupyter.api.profile import Profile
from fused_jupyter.api.result import RunResult
from fused_jupyter.api.shown import as_shown
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import (
    ArgumentError,
    BusyError,
    FusedError,
    HostLostError,
    TileError,
    UdfTimeoutError,
    UnknownUdfError,
    WorkerLostError,
)
from fused_jupyter.runtime import current
from fused_jupyter.runtime.outcome import Outcome, hide, show
from fused_jupyter.tiles import MAX_ZOOM, Tile, grid_bounds
from fused_jupyter.udfs import KERNEL_ENGINE, parse_max_age, placed

if TYPE_CHECKING:
    from fused_jupyter.api.tokens import UdfAccessToken

    Runnable = Udf | UdfAccessToken | str

T = TypeVar("T")
OnText = Callable[[str, str], None]

_WORTH_A_RETRY = (BusyError, HostLostError, UdfTimeoutError, WorkerLostError)
"""What may go well the next time. A UDF that raised would raise again."""

_OPTIONS = frozenset(
    {
        *("x", "y", "z", "type", "engine", "instance_type", "disk_size_gb", "sync"),
        *("cache_max_age", "cache", "max_retry", "verbose", "_return_response", "_ignore_unknown_arguments"),
    }
)
"""What `run` has keywords for."""

_CHOICES: dict[str, tuple[str, ...]] = {"engine": ("local", "remote", "realtime", "kernel"), "type": ("tile", "file")}


def run(  # noqa: PLR0913 - those of the reference
    udf: Runnable | None = None,
    *name: str,
    x: int | None = None,
    y: int | None = None,
    z: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    cache_max_age: str | int | None = None,
    cache: bool | None = None,
    max_retry: int | None = None,
    verbose: bool | None = None,
    type: Literal["tile", "file"] | None = None,  # noqa: A002 - the name in the reference
    engine: Literal["local", "remote", "realtime", "kernel"] | None = None,
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
        udf: a UDF; or the name of a registered or a saved one, `me/name`, `collection/name`, an id; or a token of this
            user or kernel. Inside a UDF of a collection the names are first those of the collection.
        *name: the name, where `udf` is whose it is, as old code has it: `run("me", "quakes")`.
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
        engine: `kernel` runs it in this thread of the notebook's kernel, where it sees all variables; `local`, `remote`
            and `realtime` in a worker of this machine. By default as the UDF says.
        instance_type: as the one below, of Fused's cloud only.
        disk_size_gb: see `instance_type`.
        sync: False for something to be awaited, as `run_async` gives.
        _return_response: give a `RunResult`, as `run_result` does.
        _ignore_unknown_arguments: leave out arguments that the UDF has no parameter for.
        **arguments: arguments of the UDF.

    Returns:
        The object that the UDF returned.

    Raises:
        UnknownUdfError: no UDF of that name.
        UnknownTokenError: no token of this user or kernel.
        ShareError: the token is closed or has expired. To its other limits its owner is not held.
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
        "_return_response": _return_response or None,
        "_ignore_unknown_arguments": _ignore_unknown_arguments or None,
    }
    arguments |= parameters or {}
    if sync is False and isinstance(udf, str) and not _is_registered(udf):
        return _run_by_name(udf, *name, options=options, arguments=arguments)
    call = _Call.of(udf_of(udf, *name), options, arguments)
    return call.finish(_AwaitedRuns()) if call.is_awaited else _at_once(call.finish(_BlockingRuns()))


async def run_async(
    udf: Runnable | None = None, *name: str, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """Run a UDF as `run` does, and wait for it in an event loop: of a notebook, or of `asyncio.run`.

    The loop goes on meanwhile. Many runs may be awaited at a time; as many of them run as there are workers. What one
    prints appears where it is awaited. To cancel the wait stops the run: by `Task.cancel`, by `asyncio.timeout`, or by
    stopping the cell.

    Inside a UDF the run is a thread of the same process, which goes on when the wait for it is cancelled.

    Args:
        udf: what `run` takes.
        *name: see `run`.
        parameters: arguments of the UDF.
        **options: as for `run`.

    Returns:
        The object that the UDF returned.

    Raises:
        FusedError: as `run` does.

    >>> import asyncio
    >>> from fused_jupyter import udf
    >>> @udf
    ... def double(n: int = 2):
    ...     return 2 * n
    >>> async def main():
    ...     return await asyncio.gather(*(run_async(double, n=n) for n in range(3)))
    >>> asyncio.run(main())
    [0, 2, 4]
    """
    arguments = {name: options.pop(name) for name in options.keys() - _OPTIONS} | dict(parameters or {})
    if isinstance(udf, str):
        return await _run_by_name(udf, *name, options=options, arguments=arguments)
    return await _Call.of(udf_of(udf, *name), options, arguments).finish(_AwaitedRuns())


def run_result(udf: Runnable | None = None, *name: str, **options: Any) -> RunResult:
    r"""Run a UDF and give all that is known of the run: the object, output, time, memory, and the error if it failed.

    Args:
        udf: what `run` takes.
        *name: see `run`.
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
    result: RunResult = run(udf, *name, **options, _return_response=True)
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
    gives_result: bool
    """Whether a `RunResult` is wanted, not the object."""
    is_awaited: bool

    @classmethod
    def of(cls, udf: Udf, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> _Call:
        said = {name: value for name, value in options.items() if value is not None}
        if not said:  # as most calls
            return cls(
                udf=udf,
                arguments=arguments,
                tile=None,
                cache_max_age=None,
                max_retry=0,
                is_shown=True,
                gives_result=False,
                is_awaited=False,
            )
        own = {parameter.name for parameter in udf.definition.parameters if parameter.kind != "variadic"}
        indices: dict[str, Any] = {name: said.pop(name) for name in ("x", "y", "z") if name in said}
        of_the_udf = {name: said.pop(name) for name in own & said.keys()}
        _check(said)
        if (engine := said.get("engine")) and (engine == KERNEL_ENGINE) is not udf.definition.runs_in_kernel:
            udf = Udf(placed(udf.definition, engine))
        tile, area = _tile_or_area(udf, indices, kind=said.get("type"))
        arguments = {**of_the_udf, **({} if tile or area else indices), **area, **arguments}
        if said.get("_ignore_unknown_arguments", False):
            arguments = _known(arguments, udf)
        return cls(
            udf=udf,
            arguments=arguments,
            tile=tile,
            cache_max_age=_max_age(said),
            max_retry=said.get("max_retry", 0),
            is_shown=said.get("verbose", True),
            gives_result=said.get("_return_response", False),
            is_awaited=not said.get("sync", True),
        )

    @property
    def on_text(self) -> OnText:
        """Takes what the UDF prints."""
        return show if self.is_shown else hide

    async def finish(self, runs: _Runs) -> Any:
        """Run it and give what is wanted."""
        if self.gives_result:
            return await self._result(runs)
        return as_shown(await (self._tried(runs.value, runs) if self.is_shown else self._silent(runs)))

    async def _silent(self, runs: _Runs) -> Any:
        return (await self._tried(runs.outcome, runs)).value

    async def _result(self, runs: _Runs) -> RunResult:
        """All that is known."""
        try:
            outcome = await self._tried(runs.outcome, runs)
        except FusedError as exc:
            return RunResult(
                udf=self.udf,
                stdout=exc.stdout,
                stderr=exc.stderr,
                seconds=exc.seconds,
                peak_memory=exc.peak_memory,
                run_id=exc.run_id,
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
            run_id=outcome.run_id,
        )

    async def _tried(self, run: Callable[[_Call], Awaitable[T]], runs: _Runs) -> T:
        """What `run` gives, asked again where that may help."""
        tries_left = self.max_retry
        while True:
            try:
                return await run(self)
            except _WORTH_A_RETRY as exc:
                if tries_left <= 0:
                    raise
                tries_left -= 1
                await runs.pause(exc.retry_after or 0)


class _Runs(Protocol):
    """How runs are waited for."""

    async def value(self, call: _Call) -> Any:
        """The object."""
        ...

    async def outcome(self, call: _Call) -> Outcome:
        """All that is known of a run that went well."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait before the next try."""
        ...


class _AwaitedRuns:
    """In an event loop."""

    async def value(self, call: _Call) -> Any:
        return await current().run_async(
            call.udf.definition, call.arguments, tile=call.tile, cache_max_age=call.cache_max_age
        )

    async def outcome(self, call: _Call) -> Outcome:
        return await current().outcome_async(
            call.udf.definition,
            call.arguments,
            tile=call.tile,
            cache_max_age=call.cache_max_age,
            on_text=call.on_text,
        )

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _BlockingRuns:
    """In the calling thread: nothing here suspends, so `_at_once` can run what awaits it."""

    async def value(self, call: _Call) -> Any:
        return current().run(call.udf.definition, call.arguments, tile=call.tile, cache_max_age=call.cache_max_age)

    async def outcome(self, call: _Call) -> Outcome:
        return current().outcome(
            call.udf.definition,
            call.arguments,
            tile=call.tile,
            cache_max_age=call.cache_max_age,
            on_text=call.on_text,
        )

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - as the class says


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The value of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as exc:
        value: T = exc.value
        return value
    raise AssertionError("a blocking run was suspended")


async def _run_by_name(*name: str, options: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """What a name means may have to be looked up on disk, which is nothing for an event loop."""
    udf = await asyncio.to_thread(udf_of, *name)
    return await _Call.of(udf, options, arguments).finish(_AwaitedRuns())


def _is_registered(name: str) -> bool:
    try:
        current().registry.get(name)
    except UnknownUdfError:
        return False
    return True


def udf_of(udf: Runnable | None, *name: str) -> Udf:
    """The UDF that is meant.

    Raises:
        UnknownUdfError: no UDF of that name.
        ArgumentError: that names none.
    """
    if isinstance(udf, Udf) and not name:
        return udf
    from fused_jupyter.api.saved import resolve
    from fused_jupyter.api.tokens import UdfAccessToken

    if isinstance(udf, str) and len(name) <= 1:
        return Udf(resolve("/".join([udf, *name])))
    if isinstance(udf, UdfAccessToken) and not name:
        return Udf(resolve(udf.reference))
    if name:
        raise ArgumentError(f"got {', '.join(map(repr, name))} by position; arguments of the UDF come by name")
    came = "nothing" if udf is None else f"a {type(udf).__name__}"
    raise ArgumentError(
        f"udf: got {came}, need a UDF, or the name of one, or a token; @fused.udf makes one of a function"
    )


def known_engine(engine: str | None) -> str | None:
    """An engine as `run` knows it: a machine of Fused's cloud is a worker here.

    >>> known_engine("remote"), known_engine("m5.large"), known_engine(None)
    ('remote', 'local', None)
    """
    return engine if engine is None or engine in _CHOICES["engine"] else "local"


def _check(options: Mapping[str, Any]) -> None:
    for name, choices in _CHOICES.items():
        if (value := options.get(name, choices[0])) not in choices:
            raise ArgumentError(f"{name}: got {value!r}, need {' or '.join(choices)}")
    retries = options.get("max_retry", 0)
    if not isinstance(retries, int) or retries < 0:
        raise ArgumentError(f"max_retry: got {retries!r}, need a whole number, 0 or more")


def _known(arguments: Mapping[str, Any], udf: Udf) -> Mapping[str, Any]:
    """Those that the UDF has a parameter for."""
    if any(parameter.kind == "variadic" for parameter in udf.definition.parameters):
        return arguments
    own = {parameter.name for parameter in udf.definition.parameters}
    return {name: value for name, value in arguments.items() if name in own}


def _tile_or_area(
    udf: Udf, indices: Mapping[str, int], *, kind: str | None
) -> tuple[Tile | None, Mapping[str, list[float]]]:
    """The tile; or, outside of the grid, the argument of a UDF that takes bounds: it can be asked for any rectangle."""
    try:
        return _tile(udf, indices, kind=kind), {}
    except TileError:
        spatial = udf.definition.spatial_parameter
        if spatial is None or not str(spatial.annotation).endswith("Bounds") or not 0 <= indices["z"] <= MAX_ZOOM:
            raise
        return None, {spatial.name: list(grid_bounds(indices["z"], indices["x"], indices["y"]))}


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
