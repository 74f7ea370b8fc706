"""`fused.run`: run a UDF and give the Python object."""

from __future__ import annotations

from typing import Any

from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime import current
from fused_jupyter.tiles import Tile


def run(
    udf: Udf | str,
    *,
    x: int | None = None,
    y: int | None = None,
    z: int | None = None,
    cache_max_age: str | int | None = None,
    **parameters: Any,
) -> Any:
    """Run a UDF in a worker process and give what it returns.

    What it prints appears as it comes; stopping the cell stops the run.

    Args:
        udf: a UDF, or the name of a registered one.
        x: tile column, with `y` and `z`.
        y: tile row from the north.
        z: zoom.
        cache_max_age: take a result no older than this (seconds, `10s`, `5m`, `48h`, `7d`), and keep this one.
        **parameters: arguments of the UDF. `x`, `y`, `z` go to the UDF itself where it has parameters of these names.

    Returns:
        The object that the UDF returned.

    Raises:
        UnknownUdfError: no UDF of that name.
        ArgumentError: an argument is unknown, missing or does not fit.
        UdfRuntimeError: the UDF raised; `child_exception_class` says what, `traceback` where.
        UdfTimeoutError: it ran longer than allowed (`FUSED_FILE_TIMEOUT`, 120 s).
        WorkerLostError: its process died.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def double(n: int = 2):
    ...     return 2 * n
    >>> run(double, n=21)
    42
    """
    runtime = current()
    definition = runtime.registry.get(udf) if isinstance(udf, str) else udf.definition
    own = {parameter.name for parameter in definition.parameters}
    tile = None
    if {"x", "y", "z"} <= own:
        parameters |= {name: value for name, value in (("x", x), ("y", y), ("z", z)) if value is not None}
    elif x is not None or y is not None or z is not None:
        if x is None or y is None or z is None:
            raise ArgumentError(f"a tile needs x, y and z; got x={x}, y={y}, z={z}")
        tile = Tile(z, x, y)
    max_age = None if cache_max_age is None else str(cache_max_age)
    return runtime.run(definition, parameters, tile=tile, cache_max_age=max_age)
