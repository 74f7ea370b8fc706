"""The features that a UDF gives as a layer of lonboard."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from types import new_class
from typing import TYPE_CHECKING, Any

from ipywidgets import Widget

from fused_jupyter.errors import ArgumentError
from fused_jupyter.widgets._latest import Latest
from fused_jupyter.widgets._lonboard.features import DRAWINGS, FeatureTable
from fused_jupyter.widgets._lonboard.following import Check, Following, following

if TYPE_CHECKING:
    from lonboard import BaseArrowLayer

_OF_A_TABLE = ("_rows_per_chunk", "_bbox", "_weighted_centroid", "table", "get_hexagon")
"""What lonboard's layers know of their table; hexagons have the last one."""


def vector_layer(
    name: str,
    table: FeatureTable,
    *,
    read: Callable[[Mapping[str, Any]], Awaitable[FeatureTable]],
    params: Mapping[str, Any],
    check: Check,
    **kw: Any,
) -> BaseArrowLayer:
    """A lonboard layer of a UDF's features, which runs the UDF again when its cell does.

    The new table takes the place of the old one when it is there, and the camera stays. An error is seen below the cell
    that made the layer, which keeps what it had.

    Args:
        name: the UDF.
        table: what it gives with `params`.
        read: gives the same for other parameters, by the newest version of the UDF.
        params: the layer's first parameters.
        check: of later ones.
        **kw: what lonboard's layer takes. In the place of a value may stand a function that makes it from the table,
            each time anew: `get_fill_color=lambda frame: …`.

    Raises:
        ArgumentError: the table is empty, so nothing says which layer draws it.
    """
    if not table.kind:
        raise ArgumentError(
            f"{name}: the result has no rows, and nothing else says which layer of lonboard draws it; "
            "begin with parameters that give some"
        )
    makers = {option: make for option, make in kw.items() if callable(make)}
    drawing = DRAWINGS[table.kind]
    layer: BaseArrowLayer = _made(following, table, {**drawing.look, **kw, **_values(makers, table)})
    reference = weakref.ref(layer)

    async def renew(params: Mapping[str, Any]) -> None:
        new = await read(params)
        if (shown := reference()) is not None:
            _show(shown, new, name=name, kind=table.kind, values=_values(makers, new))

    latest = Latest(f"{name}.to_lonboard", renew)
    weakref.finalize(layer, latest.stop).atexit = False
    layer.start(name, params=params, check=check, draw=partial(_ask, latest))
    return layer


def _ask(latest: Latest[Mapping[str, Any]], layer: Following) -> None:
    latest.ask(layer.params)


def _values(makers: Mapping[str, Callable[[Any], Any]], table: FeatureTable) -> dict[str, Any]:
    return {option: make(table.frame) for option, make in makers.items()} if table.kind else {}


def _made(cast: Callable[[Any], Any], table: FeatureTable, options: Mapping[str, Any]) -> Any:
    """A layer with that table, of a class that `cast` makes of lonboard's."""
    import lonboard

    layer = cast(getattr(lonboard, DRAWINGS[table.kind].layer))
    if table.cells is not None:
        return layer.from_pandas(table.frame, get_hexagon=table.cells, **options)
    return layer.from_geopandas(table.frame, **options)


def _show(layer: Any, table: FeatureTable, *, name: str, kind: str, values: Mapping[str, Any]) -> None:
    """Give the layer another table and what was made from it, in one message.

    Raises:
        ArgumentError: another layer would have to draw it, or an array that the user gave has another length.
    """
    if table.kind not in {"", kind}:
        raise ArgumentError(
            f"{name} gives {table.kind}s now, and this layer draws {kind}s; run the cell of the layer again"
        )
    if not table.kind:  # lonboard takes no empty table
        layer.hide()
        return
    draft = _made(_unsent, table, values)
    new = {each: getattr(draft, each) for each in (*_OF_A_TABLE, *values) if hasattr(draft, each)}
    _close_parts(draft)
    _check_lengths(layer, len(table.frame), new)
    with layer.hold_sync():
        for each, value in new.items():
            setattr(layer, each, value)
        layer.show()


def _close_parts(draft: Any) -> None:
    """Close what does have a page: the place for error messages that lonboard gives each layer."""
    for part in vars(draft).values():
        if isinstance(part, Widget):
            getattr(part, "layout", part).close()
            part.close()


def _check_lengths(layer: Any, rows: int, new: Mapping[str, Any]) -> None:
    for name in layer.trait_names(sync=True):
        value = getattr(layer, name)
        if name not in new and hasattr(value, "num_chunks") and len(value) != rows:
            raise ArgumentError(
                f"{name} was given for {len(value)} rows, and now there are {rows}; give a function, which gets each "
                f"new table: {name}=lambda frame: …"
            )


@cache
def _unsent(kind: Any) -> Any:
    """The class with no page to its layers: what lonboard makes of a table is wanted, and nobody is to see it."""
    return new_class(kind.__name__, (_Unsent, kind))


class _Unsent(Widget):  # type: ignore[misc] # ipywidgets has no types
    def open(self) -> None:
        """Stay here."""
