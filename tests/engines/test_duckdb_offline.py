"""DuckDB in UDFs without the internet; the H3 library itself and duckdb's own answers are the oracles."""

from __future__ import annotations

from typing import Any

import duckdb
import h3
import pytest

from tests.engines.conftest import Workshop

CELL = "8828341aedfffff"
NUMBER = h3.str_to_int(CELL)


@pytest.fixture
def ask(workshop: Workshop, tmp_path: Any) -> Any:
    """Runs lines of a UDF with a connection `con` to a DuckDB that has no extension; gives what they leave in `out`."""

    def run(*lines: str) -> Any:
        body = "\n    ".join(lines)
        return workshop.run(
            "import duckdb, pandas as pd\n"
            "def f():\n"
            f"    con = duckdb.connect(config={{'extension_directory': {str(tmp_path)!r}}})\n"
            f"    {body}\n"
            "    return out"
        )

    return run


@pytest.mark.parametrize(
    "statement",
    [
        "INSTALL h3 FROM community; LOAD h3;",
        "install h3 from community; load h3",
        "FORCE INSTALL 'h3' FROM community; LOAD 'h3'",
        "LOAD h3",
        "-- hexagons\nINSTALL h3 FROM community;\n/* and */ LOAD h3;",
    ],
)
def test_h3_is_there_however_it_is_asked_for(ask: Any, statement: str) -> None:
    """INSTALL and LOAD of an extension that no package has do no harm, and its functions work."""
    assert ask(
        f"con.execute({statement!r})", "out = con.sql('SELECT h3_latlng_to_cell(37, -122, 8)').fetchone()[0]"
    ) == (NUMBER)


def test_statements_beside_those_of_extensions_run(ask: Any) -> None:
    """Also in one text, and with the query by keyword."""
    assert (
        ask(
            "con.execute('CREATE TABLE t AS FROM range(2) r(a); INSTALL h3 FROM x; LOAD h3; INSERT INTO t VALUES (2)')",
            "out = con.sql(query='SELECT sum(a) FROM t').fetchone()[0]",
        )
        == 3
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"h3_cell_to_parent('{CELL}', 5)", h3.cell_to_parent(CELL, 5)),
        (f"h3_cell_to_parent({NUMBER}::UBIGINT, 5)", h3.str_to_int(h3.cell_to_parent(CELL, 5))),
        (f"h3_cell_to_parent({NUMBER}::BIGINT, 5)", h3.str_to_int(h3.cell_to_parent(CELL, 5))),
        (f"typeof(h3_cell_to_parent({NUMBER}::BIGINT, 5))", "BIGINT"),
        ("h3_latlng_to_cell_string(37.0, -122.0, 8)", CELL),
        (f"h3_cell_to_lat('{CELL}')", h3.cell_to_latlng(CELL)[0]),
        (f"h3_cell_to_lng({NUMBER})", h3.cell_to_latlng(CELL)[1]),
        (f"list_sort(h3_grid_disk('{CELL}', 1))", sorted(h3.grid_disk(CELL, 1))),
        (f"len(h3_cell_to_children({NUMBER}, 10))", 49),
        (f"h3_get_resolution('{CELL}')", 8),
        (f"h3_grid_distance('{CELL}', '{CELL}')", 0),
        (f"h3_h3_to_string({NUMBER})", CELL),
        (f"h3_string_to_h3('{CELL}')", NUMBER),
        (f"h3_is_valid_cell('{CELL}')", True),
        ("h3_is_valid_cell('nothing')", False),
        ("h3_cell_to_lat('nothing')", None),
        ("h3_cell_to_parent(NULL::UBIGINT, 5)", None),
        (f"h3_cell_to_parent('{CELL}', 20)", None),
        (f"h3_cell_area('{CELL}', 'km^2')", h3.cell_area(CELL, "km^2")),
        (
            "len(h3_polygon_wkt_to_cells('POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))', 5))",
            len(h3.geo_to_cells({"type": "Polygon", "coordinates": [[(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]]}, 5)),
        ),
    ],
)
def test_h3_functions_answer_as_the_library(ask: Any, sql: str, expected: Any) -> None:
    """Cells come back as what they were: text, or a number of the same type; what is no cell gives NULL."""
    found = ask("con.execute('LOAD h3')", f"out = con.sql({'SELECT ' + sql!r}).fetchone()[0]")

    assert found == pytest.approx(expected) if isinstance(expected, float) else found == expected


def test_boundaries_are_the_cells_polygons(ask: Any) -> None:
    """Longitude first, in a closed ring."""
    import shapely

    wkt = ask("con.execute('LOAD h3')", f"out = con.sql(\"SELECT h3_cell_to_boundary_wkt('{CELL}')\").fetchone()[0]")

    wanted = shapely.Polygon([(lng, lat) for lat, lng in h3.cell_to_boundary(CELL)])
    assert shapely.from_wkt(wkt).normalize().equals_exact(wanted.normalize(), 1e-6)


@pytest.mark.parametrize("name", ["df", "query", "args", "self", "connection", "sql", "statements", "name"])
@pytest.mark.parametrize("call", ["con.sql", "con.execute", "con.query", "duckdb.sql", "con.cursor().execute"])
def test_dataframes_are_tables_by_whatever_name(ask: Any, call: str, name: str) -> None:
    """What stands between the UDF and DuckDB has no name that a UDF might have given."""
    assert (
        ask(f"{name} = pd.DataFrame({{'a': [40, 2]}})", f"out = {call}('SELECT sum(a) FROM {name}').fetchone()[0]")
        == 42
    )


def test_other_connections_to_the_same_database_have_the_functions(ask: Any) -> None:
    """A cursor has macros of its own."""
    assert (
        ask("con.execute('LOAD h3')", f"out = con.cursor().sql(\"SELECT h3_get_resolution('{CELL}')\").fetchone()[0]")
        == 8
    )


def test_extensions_in_packages_are_installed_from_there(ask: Any) -> None:
    """Without the internet, and so that DuckDB itself finds them."""
    assert (
        ask(
            "con.execute('INSTALL spatial; LOAD spatial; INSTALL httpfs; LOAD httpfs')",
            "out = con.sql('SELECT ST_AsText(ST_Point(1, 2))').fetchone()[0]",
        )
        == "POINT (1 2)"
    )


def test_errors_are_duckdbs_own(ask: Any) -> None:
    """What is no SQL, and an extension that nobody has."""
    with pytest.raises(Exception, match="syntax error"):
        ask("con.execute('LOAD h3; SELEC 1')", "out = 0")
    with pytest.raises(Exception, match="nobody_has_this"):
        ask("con.execute('LOAD nobody_has_this')", "out = 0")


def test_the_kernel_keeps_its_duckdb() -> None:
    """Only workers see it changed."""
    assert not hasattr(duckdb.DuckDBPyConnection, "_fused_execute")
