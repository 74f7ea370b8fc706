"""The functions of DuckDB's community extension `h3`, by the H3 library, for connections that cannot have it.

Names, arguments and results are those of https://github.com/isaacbrodsky/h3-duckdb: cells are UBIGINT, BIGINT or text,
and a result is what the argument was. DuckDB knows one signature for each Python function, so the functions have names
of their own, and macros with the public names choose. What is no cell gives NULL, as in the extension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from fused_jupyter.errors import FusedError

_PRIVATE = "__fused_"
_CELL, _CELLS = "UBIGINT", "UBIGINT[]"
_INTEGERS = ("UBIGINT", "BIGINT")
_FALSE_FOR_OTHER_TEXT = frozenset({"h3_is_valid_cell"})


@dataclass(frozen=True, slots=True)
class _Function:
    """One function of the extension."""

    takes: Sequence[str]
    gives: str
    call: Callable[..., Any]


def give_functions(connection: Any) -> None:
    """Register all of them on a connection, where they are not there yet.

    Raises:
        FusedError: the H3 library is not installed.
    """
    if not has_functions(connection):
        for name, function in _functions().items():
            connection.create_function(
                _PRIVATE + name,
                _or_none(function),
                [*function.takes],
                function.gives,
                null_handling="special",  # else a function may not give NULL
            )
    give_macros(connection)


def has_functions(connection: Any) -> bool:
    """Whether this database has them; the macros belong to one connection."""
    found = connection._fused_execute(  # noqa: SLF001 - the method under ours
        "SELECT 1 FROM duckdb_functions() WHERE function_name = ? LIMIT 1", [f"{_PRIVATE}h3_latlng_to_cell"]
    )
    return found.fetchone() is not None


def give_macros(connection: Any) -> None:
    """The public names, on this connection."""
    for name, function in _functions().items():
        connection._fused_execute(  # noqa: SLF001
            f"CREATE OR REPLACE TEMP MACRO {name}{', '.join(_overloads(name, function))}"
        )


def _overloads(name: str, function: _Function) -> Iterable[str]:
    """One for each kind of cell; one only where no argument is a cell."""
    arguments = [f"a{number}" for number in range(len(function.takes))]
    if not {_CELL, _CELLS} & {*function.takes}:
        typed = ", ".join(arguments)
        yield f"({typed}) AS {_PRIVATE}{name}({_given(arguments, function.takes)})"
        return
    for kind in (*_INTEGERS, "VARCHAR"):
        kinds = {_CELL: kind, _CELLS: f"{kind}[]"}
        typed = ", ".join(
            f"{argument} {kinds[takes]}" if takes in kinds else argument
            for argument, takes in zip(arguments, function.takes, strict=True)
        )
        result = f"{_PRIVATE}{name}({_given(arguments, function.takes, kind)})"
        if name in _FALSE_FOR_OTHER_TEXT:
            result = f"coalesce({result}, CASE WHEN a0 IS NOT NULL THEN false END)"
        yield f"({typed}) AS {_back(result, function.gives, kind)}"


def _given(arguments: Sequence[str], takes: Sequence[str], kind: str = "") -> str:
    casts = {
        ("VARCHAR", _CELL): "TRY_CAST('0x' || {} AS UBIGINT)",
        ("VARCHAR", _CELLS): "[TRY_CAST('0x' || _c AS UBIGINT) FOR _c IN {}]",
    }
    return ", ".join(
        casts.get((kind, type_), f"{{}}::{type_}").format(argument)
        for argument, type_ in zip(arguments, takes, strict=True)
    )


def _back(result: str, gives: str, kind: str) -> str:
    """Cells as they came."""
    back = {
        ("BIGINT", _CELL): f"({result})::BIGINT",
        ("BIGINT", _CELLS): f"({result})::BIGINT[]",
        ("VARCHAR", _CELL): f"format('{{:x}}', {result})",
        ("VARCHAR", _CELLS): f"[format('{{:x}}', _c) FOR _c IN {result}]",
    }
    return back.get((kind, gives), result)


def _or_none(function: _Function) -> Callable[..., Any]:
    call = function.call

    def answer(*values: Any) -> Any:
        if None in values:
            return None
        try:
            return call(*values)
        except (ValueError, TypeError, OverflowError):  # H3's errors are ValueErrors
            return None

    # DuckDB counts the parameters.
    names = [Parameter(f"a{n}", Parameter.POSITIONAL_ONLY) for n in range(len(function.takes))]
    answer.__signature__ = Signature(names)  # type: ignore[attr-defined]  # read by inspect.signature
    return answer


def _functions() -> dict[str, _Function]:
    try:
        import h3.api.basic_int as h3
    except ImportError as exc:
        raise FusedError(
            "DuckDB's extension h3 is not installed here, and neither is the library that stands in for it: "
            'pip install "fused-jupyter[udfs]"; or, with the internet, once: duckdb -c "INSTALL h3 FROM community"'
        ) from exc
    return {**_index(h3), **_cells(h3), **_neighbours(h3), **_areas(h3)}


def _index(h3: Any) -> dict[str, _Function]:
    """Between places and cells."""
    place = ("DOUBLE", "DOUBLE", "INTEGER")
    return {
        "h3_latlng_to_cell": _Function(place, _CELL, h3.latlng_to_cell),
        "h3_latlng_to_cell_string": _Function(place, "VARCHAR", lambda *a: h3.int_to_str(h3.latlng_to_cell(*a))),
        "h3_cell_to_lat": _Function((_CELL,), "DOUBLE", lambda c: h3.cell_to_latlng(c)[0]),
        "h3_cell_to_lng": _Function((_CELL,), "DOUBLE", lambda c: h3.cell_to_latlng(c)[1]),
        "h3_cell_to_latlng": _Function((_CELL,), "DOUBLE[]", lambda c: [*h3.cell_to_latlng(c)]),
        "h3_cell_to_boundary_wkt": _Function((_CELL,), "VARCHAR", lambda c: _polygon_wkt([h3.cell_to_boundary(c)])),
        "h3_cells_to_multi_polygon_wkt": _Function(
            (_CELLS,), "VARCHAR", lambda cells: _multi_polygon_wkt(h3.cells_to_h3shape(cells, tight=False))
        ),
        "h3_polygon_wkt_to_cells": _Function(
            ("VARCHAR", "INTEGER"), _CELLS, lambda wkt, res: [*h3.geo_to_cells(_shape(wkt), res)]
        ),
        "h3_polygon_wkt_to_cells_string": _Function(
            ("VARCHAR", "INTEGER"),
            "VARCHAR[]",
            lambda wkt, res: [h3.int_to_str(c) for c in h3.geo_to_cells(_shape(wkt), res)],
        ),
    }


def _cells(h3: Any) -> dict[str, _Function]:
    """What a cell says of itself, and of those above and below it."""
    number = ("INTEGER",)
    return {
        "h3_h3_to_string": _Function((_CELL,), "VARCHAR", h3.int_to_str),
        "h3_string_to_h3": _Function(("VARCHAR",), _CELL, h3.str_to_int),
        "h3_is_valid_cell": _Function((_CELL,), "BOOLEAN", h3.is_valid_cell),
        "h3_is_pentagon": _Function((_CELL,), "BOOLEAN", h3.is_pentagon),
        "h3_is_res_class_iii": _Function((_CELL,), "BOOLEAN", h3.is_res_class_III),
        "h3_get_resolution": _Function((_CELL,), "INTEGER", h3.get_resolution),
        "h3_get_base_cell_number": _Function((_CELL,), "INTEGER", h3.get_base_cell_number),
        "h3_cell_to_parent": _Function((_CELL, *number), _CELL, h3.cell_to_parent),
        "h3_cell_to_children": _Function((_CELL, *number), _CELLS, lambda c, r: [*h3.cell_to_children(c, r)]),
        "h3_cell_to_center_child": _Function((_CELL, *number), _CELL, h3.cell_to_center_child),
        "h3_cell_to_child_pos": _Function((_CELL, *number), "BIGINT", h3.cell_to_child_pos),
        "h3_child_pos_to_cell": _Function(
            ("BIGINT", _CELL, *number), _CELL, lambda position, parent, r: h3.child_pos_to_cell(parent, r, position)
        ),
        "h3_compact_cells": _Function((_CELLS,), _CELLS, lambda cells: [*h3.compact_cells(cells)]),
        "h3_uncompact_cells": _Function((_CELLS, *number), _CELLS, lambda cells, r: [*h3.uncompact_cells(cells, r)]),
    }


def _neighbours(h3: Any) -> dict[str, _Function]:
    """Cells around a cell, and between two."""
    cell_and_k = (_CELL, "INTEGER")
    return {
        "h3_grid_disk": _Function(cell_and_k, _CELLS, lambda c, k: [*h3.grid_disk(c, k)]),
        "h3_grid_disk_distances": _Function(
            cell_and_k, "UBIGINT[][]", lambda c, k: [[*h3.grid_ring(c, each)] for each in range(k + 1)]
        ),
        "h3_grid_ring": _Function(cell_and_k, _CELLS, lambda c, k: [*h3.grid_ring(c, k)]),
        "h3_grid_ring_unsafe": _Function(cell_and_k, _CELLS, lambda c, k: [*h3.grid_ring(c, k)]),
        "h3_grid_distance": _Function((_CELL, _CELL), "INTEGER", h3.grid_distance),
        "h3_grid_path_cells": _Function((_CELL, _CELL), _CELLS, lambda a, b: [*h3.grid_path_cells(a, b)]),
        "h3_are_neighbor_cells": _Function((_CELL, _CELL), "BOOLEAN", h3.are_neighbor_cells),
    }


def _areas(h3: Any) -> dict[str, _Function]:
    """Sizes; units as the library names them: 'km^2', 'm^2', 'km', 'm'."""
    return {
        "h3_cell_area": _Function((_CELL, "VARCHAR"), "DOUBLE", lambda c, unit: h3.cell_area(c, unit=unit)),
        "h3_get_hexagon_area_avg": _Function(
            ("INTEGER", "VARCHAR"), "DOUBLE", lambda r, unit: h3.average_hexagon_area(r, unit=unit)
        ),
        "h3_get_hexagon_edge_length_avg": _Function(
            ("INTEGER", "VARCHAR"), "DOUBLE", lambda r, unit: h3.average_hexagon_edge_length(r, unit=unit)
        ),
        "h3_get_num_cells": _Function(("INTEGER",), "BIGINT", h3.get_num_cells),
        "h3_great_circle_distance": _Function(
            ("DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE", "VARCHAR"),
            "DOUBLE",
            lambda *a: h3.great_circle_distance((a[0], a[1]), (a[2], a[3]), unit=a[4]),
        ),
    }


def _shape(wkt: str) -> Any:
    import shapely

    return shapely.from_wkt(wkt)


def _polygon_wkt(rings: Iterable[Iterable[tuple[float, float]]]) -> str:
    return f"POLYGON {_rings(rings)}"


def _multi_polygon_wkt(shape: Any) -> str:
    return f"MULTIPOLYGON ({', '.join(_rings([polygon.outer, *polygon.holes]) for polygon in shape)})"


def _rings(rings: Iterable[Iterable[tuple[float, float]]]) -> str:
    """Latitude comes first in H3, longitude in WKT; WKT rings end where they begin."""
    closed = []
    for ring in rings:
        points = [f"{lng:.6f} {lat:.6f}" for lat, lng in ring]
        closed.append(f"({', '.join([*points, points[0]])})")
    return f"({', '.join(closed)})"
