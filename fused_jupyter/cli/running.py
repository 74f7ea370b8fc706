"""Each UDF of a folder, run once."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fused_jupyter.api.run import run_async
from fused_jupyter.api.udf import Udf
from fused_jupyter.cli.folders import Found, found_in
from fused_jupyter.errors import ArgumentError, FusedError
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import Parameter, published_values

_TYPE, _VIEW = "fused:udfType", "fused:defaultViewState"
_TILED = frozenset({"vector_tile", "raster"})
_PLACE = Tile(15, 5241, 12663)
"""Where a UDF is run that says nowhere: San Francisco, as Fused's own tests do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one UDF."""

    name: str
    failed: bool
    seconds: float
    said: str
    """What it gave, or its error."""

    def __str__(self) -> str:
        said = " ".join(self.said.split())
        return f"{'FAIL' if self.failed else 'ok':<5}{self.seconds:>7.2f} s  {self.name}  {said[:300]}"


def arguments_of(values: Sequence[str]) -> dict[str, str]:
    """`name=value` as the command line has them.

    Raises:
        ArgumentError: one has no name.
    """
    pairs = [value.partition("=") for value in values]
    for value, (name, equals, _) in zip(values, pairs, strict=True):
        if not (name.isidentifier() and equals):
            raise ArgumentError(f"got {value!r}, need name=value, e.g. min_mag=6")
    return {name: value for name, _, value in pairs}


def outcomes(folder: Path, arguments: Mapping[str, Any], *, timeout: float = 60.0, jobs: int = 2) -> Iterator[Outcome]:
    """Run each UDF below a folder once, with its own defaults; in the order of their paths.

    Args:
        folder: where they are.
        arguments: for those that have a parameter of the name.
        timeout: seconds for each.
        jobs: how many run at a time.
    """
    with asyncio.Runner() as runner:
        waiting = found_in(folder)
        while group := [each for _, each in zip(range(max(jobs, 1)), waiting, strict=False)]:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                # What UDFs print would tear the lines apart.
                done = runner.run(_all(group, arguments, timeout))
            yield from done


async def _all(group: Sequence[Found], arguments: Mapping[str, Any], timeout: float) -> list[Outcome]:  # noqa: ASYNC109 - for each
    return await asyncio.gather(*(outcome_of(each, arguments, timeout=timeout) for each in group))


async def outcome_of(found: Found, arguments: Mapping[str, Any], *, timeout: float) -> Outcome:  # noqa: ASYNC109 - of one run
    """Run one UDF.

    Args:
        found: the UDF.
        arguments: those that it has no parameter for are left out.
        timeout: seconds.
    """
    started = time.perf_counter()
    try:
        if found.udf is None:
            raise found.error or FusedError("no UDF")
        async with asyncio.timeout(timeout):
            value = await run_async(found.udf, **_call(found.udf, arguments))
        failed, said = False, summary(value)
    except TimeoutError:
        failed, said = True, f"TimeoutError: not done after {timeout:g} s"
    except FusedError as error:
        failed, said = True, f"{_kind(error)}{error.message}{f' (line {error.line})' if error.line else ''}"
    return Outcome(name=found.name, failed=failed, seconds=time.perf_counter() - started, said=said)


def _kind(error: FusedError) -> str:
    name = error.child_exception_class or type(error).__name__
    return "" if error.message.startswith(name) else f"{name}: "


def _call(udf: Udf, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Its arguments: given, of its metadata, and a place where it needs one."""
    definition = udf.definition
    names = {parameter.name for parameter in definition.parameters}
    values = {**published_values(definition.metadata), **arguments}
    values = {name: value for name, value in values.items() if name in names}
    spatial = definition.spatial_parameter
    if spatial is None or spatial.name in arguments:
        return values
    tile = _tile_of(definition.metadata.get(_VIEW))
    if definition.metadata.get(_TYPE) in _TILED:
        values.pop(spatial.name, None)
        return {**values, "x": tile.x, "y": tile.y, "z": tile.z}
    if spatial.name not in values and _is_wanted(spatial):
        values[spatial.name] = [*tile.bounds]
    return values


def _is_wanted(parameter: Parameter) -> bool:
    return not parameter.has_default or parameter.default is None


def _tile_of(view: Any) -> Tile:
    """The tile in the middle of a view state."""
    import mercantile

    if not isinstance(view, Mapping):
        return _PLACE
    try:
        found = mercantile.tile(float(view["longitude"]), float(view["latitude"]), int(view["zoom"]))
    except (LookupError, TypeError, ValueError):
        return _PLACE
    return Tile(found.z, found.x, found.y)


def summary(value: Any) -> str:
    r"""A result in a few words.

    >>> import numpy as np
    >>> summary(np.zeros((3, 2), "uint8"))
    'ndarray uint8 3 x 2'
    >>> summary("one\ntwo")
    "str 'one\\ntwo'"
    """
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        size = " x ".join(map(str, shape))
        return " ".join(part for part in (kind, str(getattr(value, "dtype", "")), size) if part)
    if isinstance(value, str):  # in a notebook, HTML is a text of a class of ours
        return f"str {str(value)!r}"
    return "None" if value is None else f"{kind} {value!r}"
