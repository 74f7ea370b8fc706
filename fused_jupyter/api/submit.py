"""`fused.submit` and `udf.map(arguments)`: one UDF for many arguments, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fused_jupyter.api.decorator import unregistered
from fused_jupyter.api.options import options
from fused_jupyter.api.pool import JobPool
from fused_jupyter.api.result import RunResult
from fused_jupyter.api.run import known_engine, run_async, udf_of
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import ArgumentError, BusyError, FusedError
from fused_jupyter.runtime import KernelRuntime, current

if TYPE_CHECKING:
    import pandas as pd

    from fused_jupyter.api.tokens import UdfAccessToken

    Runnable = Udf | UdfAccessToken | str | Callable[..., Any]

_NESTED_WORKERS = 32
"""Threads of a UDF that runs others: as many as Fused has."""


def submit(  # noqa: PLR0913 - those of the reference
    udf: Runnable,
    arg_list: Iterable[Any],
    /,
    *,
    engine: str | None = None,
    max_workers: int | None = None,
    max_retry: int = 2,
    debug_mode: bool = False,
    collect: bool = True,
    cache_max_age: str | int | None = None,
    run_cache_max_age: str | int | None = None,
    cache: bool | None = None,
    ignore_exceptions: bool = False,
    flatten: bool = True,
    drop_index: bool = False,
    instance_type: str | None = None,
    disk_size_gb: int | None = None,
    n_processes_per_worker: int | None = None,
    worker_concurrency: int | None = None,
    execution_type: str | None = None,
    wait_on_results: bool | None = None,
    **arguments: Any,
) -> JobPool | pd.DataFrame | Any:
    """Run a UDF once for each of many arguments, several at a time.

    From a notebook the runs go to the workers of this machine. Inside a UDF they are threads of its own process: that
    is good for waiting on the network, and no faster for computing.

    Args:
        udf: a UDF, the name of one, a token, an address of GitHub, or a plain function, which becomes a UDF.
        arg_list: for each run a dict of arguments, or one value for the first parameter; or a table, whose rows are
            the arguments.
        engine: as for `fused.run`; `remote` and `realtime` mean the workers here, too.
        max_workers: how many run at a time; at most as many as there are workers, and that many by default.
        max_retry: how often a run is tried again whose process was lost or whose time was up. One that raised is not.
        debug_mode: run the first arguments only, in the calling thread, and give what that returns.
        collect: give one table of all results, see `JobPool.df`; False gives the `JobPool` at once.
        cache_max_age: as for `fused.run`.
        run_cache_max_age: the same.
        cache: False for `cache_max_age=0`.
        ignore_exceptions: leave out runs that failed.
        flatten: see `JobPool.df`.
        drop_index: see `JobPool.df`.
        instance_type: as those below, of Fused's cloud only.
        disk_size_gb: see `instance_type`.
        n_processes_per_worker: see `instance_type`.
        worker_concurrency: see `instance_type`.
        execution_type: see `instance_type`.
        wait_on_results: the older name of `collect`.
        **arguments: arguments that are the same for all.

    Returns:
        The table; or the pool.

    Raises:
        ArgumentError: there are no arguments, or they do not fit the UDF.
        FusedError: the first run that failed; the others are stopped.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def power(base: int, exponent: int = 2):
    ...     return base**exponent
    >>> submit(power, [2, 3], exponent=3).reset_index().to_dict("list")
    {'base': [2, 3], 'result': [8, 27]}
    >>> submit(power, [{"base": 2}, {"base": 3}], collect=False).results()
    [4, 9]
    """
    of_the_cloud = (instance_type, disk_size_gb, n_processes_per_worker, worker_concurrency, execution_type)
    del of_the_cloud
    wanted = unregistered(udf) if callable(udf) and not isinstance(udf, Udf) else udf_of(udf)
    own = _each(wanted, arg_list)
    given = [{**arguments, **each} for each in own]
    age = cache_max_age if run_cache_max_age is None else run_cache_max_age
    said: dict[str, Any] = {
        "engine": known_engine(engine),
        "cache_max_age": age,
        "cache": cache,
        "max_retry": max_retry,
    }
    if debug_mode:
        from fused_jupyter.api.run import run

        return run(wanted, parameters=given[0], **said)
    constants = arguments.keys() - {name for each in own for name in each}
    lanes = _lanes(max_workers)
    pool = JobPool(wanted.name, given, start=_start(wanted, said), max_workers=lanes, constants=constants)
    if not (collect if wait_on_results is None else wait_on_results):
        return pool
    try:
        return pool.df(ignore_exceptions=ignore_exceptions, flatten=flatten, drop_index=drop_index)
    except BaseException:  # above all Ctrl-C: the cell is over, and so are its runs
        pool.cancel()
        raise


def map_over(udf: Udf, arg_list: Iterable[Any], /, *too_many: Any, **options: Any) -> Any:
    """What `udf.map(arg_list)` gives: the pool, or, with `debug_mode`, what the first run returns."""
    if too_many:
        raise ArgumentError("udf.map takes one list of arguments; those that are the same for all go by keyword")
    return submit(udf, arg_list, **{"collect": False, **options})


def _each(udf: Udf, arg_list: Iterable[Any]) -> list[dict[str, Any]]:
    """The arguments of each run, by name."""
    if isinstance(arg_list, (str, bytes, Mapping)) or not isinstance(arg_list, Iterable):
        raise ArgumentError(
            f"arg_list: got a {type(arg_list).__name__}, need a list of values or of dicts, or a table of arguments"
        )
    if hasattr(arg_list, "to_dict") and hasattr(arg_list, "columns"):
        rows: Any = arg_list
        given = [dict(row) for row in rows.to_dict("records")]
    else:
        given = [dict(each) if isinstance(each, Mapping) else {_first(udf): _plain(each)} for each in arg_list]
    if not given:
        raise ArgumentError("arg_list: it is empty, so there is nothing to run")
    return given


def _first(udf: Udf) -> str:
    for parameter in udf.definition.parameters:
        if parameter.kind != "variadic":
            return parameter.name
    raise ArgumentError(
        f"arg_list: {udf.name} has no parameter that a value could be for; give dicts, or a range of {{}}"
    )


def _plain(value: Any) -> Any:
    """A number of numpy as Python has it: an index and a UDF want it so."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value


def _start(udf: Udf, said: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Any]:
    if isinstance(current(), KernelRuntime):

        async def in_worker(arguments: Mapping[str, Any]) -> RunResult:
            while True:
                result: RunResult = await run_async(
                    udf, parameters=arguments, verbose=False, _return_response=True, **said
                )
                if not isinstance(result.error, BusyError):  # maps have the workers; a pool has time
                    return result

        return in_worker

    async def beside(arguments: Mapping[str, Any]) -> RunResult:
        # Not captured: output is there once for all threads, and what is printed is for whoever runs the outer UDF.
        try:
            return RunResult(udf=udf, data=await run_async(udf, parameters=arguments, **said))
        except FusedError as exc:
            return RunResult(udf=udf, error=exc)

    return beside


def _lanes(max_workers: int | None) -> int:
    """How many run at a time."""
    wanted = options.max_workers if max_workers is None else max_workers
    if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1):
        raise ArgumentError(f"max_workers: got {wanted!r}, need a whole number from 1")
    runtime = current()
    # More than there are workers would only wait in the host, and longer than a call may.
    most = runtime.options.workers if isinstance(runtime, KernelRuntime) else _NESTED_WORKERS
    return min(wanted or most, most)
