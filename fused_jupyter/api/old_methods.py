"""Methods of the official client's `Udf` that hardly anybody writes any more; a UDF may define the names itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fused_jupyter.api.cloud import of_udf

if TYPE_CHECKING:
    from fused_jupyter.api.pool import JobPool
    from fused_jupyter.api.udf import Udf


def old_method(udf: Udf, name: str) -> Callable[..., Any] | None:
    """The method of that name, or one that says what to use in its place; None where there never was one."""
    if (make := _METHODS.get(name)) is not None:
        return make(udf)
    return of_udf(name)


def _json(udf: Udf) -> Callable[..., str]:
    def json(**_: Any) -> str:
        """It as JSON, from which `fused.models.udf.udf.GeoPandasUdfV2.parse_raw` makes it again."""
        import orjson

        from fused_jupyter.storage.exchange import described

        return orjson.dumps(described(udf.definition)).decode()

    return json


def _map_async(udf: Udf) -> Callable[..., Any]:
    async def map_async(arg_list: Any, /, **options: Any) -> JobPool:
        """`map` beside an event loop."""
        from fused_jupyter.api.submit import map_over

        pool: JobPool = await asyncio.to_thread(map_over, udf, arg_list, **options)
        return pool

    return map_async


_METHODS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "json": _json,
    "map_async": _map_async,
    "model_dump_json": _json,
}
