from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import call
from fused_jupyter.errors import UdfRuntimeError
from fused_jupyter.runtime import _runtime
from fused_jupyter.udfs import UdfDefinition

Define = Callable[..., UdfDefinition]


@pytest.fixture(autouse=True)
def _inside_a_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(Path.cwd())
    _alias.install()
    yield
    _alias.uninstall()


def gives(definition: UdfDefinition, **arguments: Any) -> Any:
    return call(definition, arguments).value


WELL_KNOWN: list[tuple[str, str, Any]] = [
    ("pd.DataFrame", '[{"a": 1}]', pd.DataFrame),
    ("pandas.DataFrame", '[{"a": 1}]', pd.DataFrame),
    ("DataFrame | None", '[{"a": 1}]', pd.DataFrame),
    ("pd.Timestamp", "2024-05-01", pd.Timestamp),
    ("gpd.GeoDataFrame", "POINT (1 2)", geopandas.GeoDataFrame),
    ("np.ndarray", "[1, 2]", np.ndarray),
    ("np.float32", "1", np.float32),
    ("npt.NDArray[np.int8]", "[1]", np.ndarray),
    ("shapely.Point", "POINT (1 2)", shapely.Point),
    ("shapely.geometry.Polygon", "0,0,1,1", shapely.Polygon),
    ("datetime", "2024-05-01", datetime),
    ("datetime.datetime", "2024-05-01", datetime),
    ("datetime.date", "2024-05-01", date),
    ("dt.time", "12:30", time),
    ("date", "2024-05-01", date),
    ("Path", "a/b", type(Path())),
    ("uuid.UUID", "123e4567-e89b-12d3-a456-426614174000", UUID),
    ("Decimal", "0.1", Decimal),
    ("Optional[int]", "4", int),
    ("typing.Optional[int]", "4", int),
    ("Union[int, str]", "4", int),
    ("Literal[1, 2]", "1", int),
    ("List[int]", "[1]", list),
    ("Annotated[int, 'm']", "4", int),
    ("'int'", "4", int),
    ("Optional['int']", "4", int),
    ("list['int']", "[1]", list),
    ("dict['str', 'list[int]']", '{"a": ["1"]}', dict),
]


@pytest.mark.parametrize(("annotation", "text", "kind"), WELL_KNOWN)
@pytest.mark.parametrize("quoted", ["as it is", "in quotes", "all in quotes"])
def test_well_known_name_needs_no_import(
    definition: Define, annotation: str, text: str, kind: type, quoted: str
) -> None:
    """Written as it is, in quotes, or with the future import: the UDF imports what it needs inside, and runs."""
    shown = repr(annotation) if quoted == "in quotes" else annotation
    future = "from __future__ import annotations\n" if quoted == "all in quotes" else ""

    value = gives(definition(f"{future}@fused.udf\ndef f(a: {shown}) -> pd.DataFrame: return a"), a=text)

    assert type(value) is kind


def test_annotation_of_a_kind_is_made_whole(definition: Define) -> None:
    """What is in quotes between brackets counts too."""
    udf = definition("@fused.udf\ndef f(a: list['datetime.date'], **rest: 'Optional[int]'): return a, rest")

    assert gives(udf, a="2024-05-01", b="4") == ([date(2024, 5, 1)], {"b": 4})


def test_names_of_the_cell_come_first(definition: Define) -> None:
    """What it calls `datetime` or `Path` is what it says."""
    udf = definition("""
        from datetime import timezone as datetime
        import pandas as np
        from enum import Enum
        class Path(Enum):
            A = 1
        @fused.udf
        def f(a: "Path", b: np.Timestamp, c: "np.Timestamp"): return a.name, b == c
    """)

    assert gives(udf, a="1", b="0", c="0") == ("A", True)


def test_classes_of_the_cell_are_known_in_quotes(definition: Define) -> None:
    """Also those below the function."""
    udf = definition("""
        from __future__ import annotations
        from dataclasses import dataclass
        @fused.udf
        def f(a: Point, b: list[Point]): return a.x, [each.x for each in b]
        @dataclass
        class Point:
            x: int
            next: Point | None = None
    """)

    assert gives(udf, a='{"x": "1"}', b='[{"x": 2, "next": {"x": 3}}]') == (1, [2])


def test_defaults_are_left_alone(definition: Define) -> None:
    """As in Fused: whatever the annotation says."""
    assert gives(definition("@fused.udf\ndef f(a: pd.DataFrame = None, b: datetime = 'now'): return a, b")) == (
        None,
        "now",
    )


def test_unknown_name_is_python_s_error(definition: Define) -> None:
    """A typing mistake is not passed over."""
    with pytest.raises(UdfRuntimeError, match="NameError: name 'itn' is not defined") as caught:
        gives(definition("x = 1\n@fused.udf\ndef f(a: itn): return a"), a="1")

    assert caught.value.line == 3


@pytest.mark.parametrize("annotation", ["'Somewhere.Else'", "'not python'", "''", "'1/0'", "'pd.NoSuchThing'", "'a'"])
def test_annotation_in_quotes_that_names_nothing_is_passed_over(definition: Define, annotation: str) -> None:
    """A type checker may know it; we leave the value alone."""
    assert gives(definition(f"@fused.udf\ndef f(a: {annotation}): return a"), a="1") == "1"


def test_lines_stay_those_of_the_reader(definition: Define) -> None:
    """Nothing is put before the source, as Fused's own client does."""
    with pytest.raises(UdfRuntimeError) as caught:
        gives(definition("@fused.udf\ndef f(\n    a: pd.DataFrame,\n) -> gpd.GeoDataFrame:\n    boom()"), a="[]")

    assert (caught.value.line, caught.value.source_line) == (5, "    boom()")


def test_helper_functions_are_as_python_has_them(definition: Define) -> None:
    """Only the annotations of the UDF itself are ours; those of its functions can be read as ever."""
    udf = definition("""
        import typing
        def helper(a: int) -> str: ...
        @fused.udf
        def f():
            import pandas as pd
            def inner(df: pd.DataFrame): ...
            return typing.get_type_hints(helper), inner.__annotations__["df"] is pd.DataFrame
    """)

    assert gives(udf) == ({"a": int, "return": str}, True)


def test_nothing_heavy_is_imported_for_a_plain_udf() -> None:
    """A worker that never saw a table need not load pandas to read a number."""
    import subprocess

    code = (
        "import sys; from fused_jupyter.udfs import parse; from fused_jupyter.engines.execute import call\n"
        "assert call(parse('def f(a: int, b: list[str]): return a'), {'a': '1', 'b': 'x,y'}).value == 1\n"
        "print([name for name in ('pandas', 'geopandas', 'shapely') if name in sys.modules])"
    )
    environment = {**os.environ, WORKER_VARIABLE: "1"}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert done.stdout.strip() == "[]"


def test_zone_is_kept(definition: Define) -> None:
    """The moment that the URL says."""
    udf = definition("@fused.udf\ndef f(at: datetime): return at")

    assert gives(udf, at="2024-05-01T12:00:00Z") == datetime(2024, 5, 1, 12, tzinfo=UTC)
