"""Runs of saved UDFs and of tokens; `fused.run` does all of it by itself.

All run in workers of this machine: `_dtype_out_vector`, `_dtype_out_raster` and `_client_id`, by which Fused's cloud
is told how to send results and where to run, are taken and mean nothing. What a UDF returns comes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fused_jupyter.api.run import run, run_async
from fused_jupyter.api.saved import TOKEN
from fused_jupyter.errors import ArgumentError

_OF_THE_CLOUD = frozenset({"_dtype_out_vector", "_dtype_out_raster", "_client_id", "_format"})


def run_file(
    email: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    **params: Any,
) -> Any:
    """Run a saved UDF as a file.

    Args:
        email: whose it is: yours, as `fused.api.whoami` says, or `me`; without `id` its name.
        id: its name.
        **params: arguments of the UDF, and `cache_max_age`.

    Returns:
        What it returns.

    Raises:
        UnknownUdfError: there is none of that name.
        FusedError: what the run raises.
    """
    return run(_name(email, id), **_options(params))


def run_tile(
    email: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    *,
    x: int,
    y: int,
    z: int,
    **params: Any,
) -> Any:
    """Run a saved UDF for a tile.

    Args:
        email: whose it is; see `run_file`.
        id: its name.
        x: tile column.
        y: tile row from the north.
        z: zoom.
        **params: arguments of the UDF, and `cache_max_age`.

    Raises:
        UnknownUdfError: there is none of that name.
        FusedError: what the run raises.
    """
    return run(_name(email, id), x=x, y=y, z=z, **_options(params))


def run_shared_file(token: str, **params: Any) -> Any:
    """Run the UDF that a token of this user opens, as a file.

    Args:
        token: the secret, or the public id; of a collection with the name: `fc_…/name`.
        **params: arguments of the UDF, and `cache_max_age`.

    Raises:
        UnknownTokenError: it is none of theirs.
        FusedError: what the run raises.
    """
    return run(_token(token), **_options(params))


def run_shared_tile(token: str, *, x: int, y: int, z: int, **params: Any) -> Any:
    """Run the UDF that a token of this user opens, for a tile.

    Args:
        token: see `run_shared_file`.
        x: tile column.
        y: tile row from the north.
        z: zoom.
        **params: arguments of the UDF, and `cache_max_age`.

    Raises:
        UnknownTokenError: it is none of theirs.
        FusedError: what the run raises.
    """
    return run(_token(token), x=x, y=y, z=z, **_options(params))


async def run_file_async(
    email: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    **params: Any,
) -> Any:
    """`run_file` for an event loop."""
    return await run_async(_name(email, id), **_options(params))


async def run_tile_async(
    email: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    *,
    x: int,
    y: int,
    z: int,
    **params: Any,
) -> Any:
    """`run_tile` for an event loop."""
    return await run_async(_name(email, id), x=x, y=y, z=z, **_options(params))


async def run_shared_file_async(token: str, **params: Any) -> Any:
    """`run_shared_file` for an event loop."""
    return await run_async(_token(token), **_options(params))


async def run_shared_tile_async(token: str, *, x: int, y: int, z: int, **params: Any) -> Any:
    """`run_shared_tile` for an event loop."""
    return await run_async(_token(token), x=x, y=y, z=z, **_options(params))


def _name(email: str, name: str | None) -> str:
    return email if name is None else f"{email}/{name}"


def _token(token: str) -> str:
    if not TOKEN.fullmatch(token):  # not shown: it may be a secret with a slip in it
        raise ArgumentError("token: need one that begins with fsh_ or fc_; run_file and run_tile take names")
    return token


def _options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for `run`, which never mistakes those of the UDF for its own options."""
    own = {name: value for name, value in params.items() if name not in _OF_THE_CLOUD}
    cache = {"cache_max_age": own.pop("cache_max_age")} if "cache_max_age" in own else {}
    return {"parameters": own, **cache}
