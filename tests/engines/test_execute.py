from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import mercantile
import numpy as np
import pytest
import shapely

import fused_jupyter
from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import call, execute
from fused_jupyter.errors import ArgumentError, FormatError, TileError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.runtime import _runtime
from fused_jupyter.tiles import Tile
from fused_jupyter.types import Bounds
from fused_jupyter.udfs import HeaderModule, UdfDefinition
from fused_jupyter.wire import Run

Define = Callable[..., UdfDefinition]

TILE = Tile(11, 327, 791)
SIDES = list(TILE.bounds)
TEXT = ",".join(str(side) for side in SIDES)


@pytest.fixture(autouse=True)
def _inside_a_worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`@fused.udf` and `import fused` in a UDF mean here what they mean in a worker; the directory is put back."""
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(Path.cwd())
    _alias.install()
    yield
    _alias.uninstall()


def gives(definition: UdfDefinition, *, tile: Tile | None = None, **arguments: Any) -> Any:
    return call(definition, arguments, tile=tile).value


# -- the spatial argument


def is_bounds(value: Any) -> bool:
    return isinstance(value, Bounds) and isinstance(value, list) and value == pytest.approx(SIDES)


def is_box(value: Any) -> bool:
    return isinstance(value, shapely.Polygon) and value.bounds == pytest.approx(SIDES)


def is_tile(value: Any) -> bool:
    return value == mercantile.Tile(TILE.x, TILE.y, TILE.z) and isinstance(value, mercantile.Tile)


def is_tile_frame(value: Any) -> bool:
    return (
        isinstance(value, geopandas.GeoDataFrame)
        and value.crs == "EPSG:4326"
        and value[["x", "y", "z"]].to_numpy().tolist() == [[TILE.x, TILE.y, TILE.z]]
        and is_box(value.geometry.iloc[0])
    )


def is_viewport(value: Any) -> bool:
    return (
        isinstance(value, geopandas.GeoDataFrame)
        and [*value.columns] == ["geometry"]
        and is_box(value.geometry.iloc[0])
    )


def is_sides(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind and [*value] == pytest.approx(SIDES)


ANNOTATIONS: list[tuple[str, Callable[[Any], bool]]] = [
    ("fused.types.Bounds", is_bounds),
    ("fused.types.Bbox", is_box),
    ("fused.types.TileXYZ", is_tile),
    ("fused.types.TileGDF", is_tile_frame),
    ("fused.types.Tile", is_tile_frame),
    ("fused.types.ViewportGDF", is_viewport),
    ("fused.types.Bounds | None", is_bounds),
    ("fused.types.TileXYZ | None", is_tile),
    ("'fused.types.Bbox'", is_box),
    ("list", is_sides(list)),
    ("list[float]", is_sides(list)),
    ("list | None", is_sides(list)),
    ("tuple", is_sides(tuple)),
]


@pytest.mark.parametrize("name", ["bounds", "bbox"])
@pytest.mark.parametrize(("annotation", "fits"), ANNOTATIONS)
def test_tile_arrives_in_the_form_of_the_annotation(
    definition: Define, name: str, annotation: str, fits: Callable[[Any], bool]
) -> None:
    """The table of the reference, for a tile, for text, and for what a Python caller may pass."""
    udf = definition(f"def f({name}: {annotation} = None): return {name}")

    assert fits(gives(udf, tile=TILE))
    for value in (TEXT, SIDES, str(SIDES), TILE.bounds, shapely.box(*SIDES), mercantile.Tile(TILE.x, TILE.y, TILE.z)):
        assert fits(gives(udf, **{name: value})), value


def test_optional_of_typing_is_no_obstacle(definition: Define) -> None:
    """Also written the long way."""
    udf = definition("from typing import Optional\ndef f(bounds: Optional[list] = None): return bounds")

    assert is_sides(list)(gives(udf, tile=TILE))


def test_first_parameter_takes_the_tile_by_its_annotation(definition: Define) -> None:
    """Whatever it is called."""
    udf = definition("from fused.types import TileXYZ\ndef f(area: TileXYZ, n=1): return area")

    assert is_tile(gives(udf, tile=TILE))


@pytest.mark.parametrize("signature", ["bounds", "bounds=None", "bbox", "area"])
def test_tile_without_annotation_is_a_frame(definition: Define, signature: str) -> None:
    """As the reference has it."""
    assert is_tile_frame(gives(definition(f"def f({signature}): return {signature.partition('=')[0]}"), tile=TILE))


def test_argument_without_annotation_stays_as_it_is(definition: Define) -> None:
    """What a caller passed is nobody's business."""
    udf = definition("def f(bounds): return bounds")

    assert gives(udf, bounds="1,2,3,4") == "1,2,3,4"
    assert gives(udf) is None


def test_text_annotation_gets_text(definition: Define) -> None:
    """Four numbers, as a query carries them."""
    value = gives(definition("def f(bounds: str): return bounds"), tile=TILE)

    assert [float(side) for side in value.split(",")] == SIDES


def test_x_y_z_are_the_indices(definition: Define) -> None:
    """For a UDF that asks for them and for no area."""
    udf = definition("def f(x: int, y: int, z: int): return x, y, z")

    assert gives(udf, tile=TILE) == (TILE.x, TILE.y, TILE.z)
    assert gives(udf, x="1", y="2", z="3") == (1, 2, 3)


def test_tile_is_of_no_interest_to_a_udf_without_an_area(definition: Define) -> None:
    """It gives the same for every tile."""
    assert gives(definition("def f(n: int = 3): return n"), tile=TILE) == 3


def test_area_that_is_none_is_refused_with_its_name(definition: Define) -> None:
    """In whichever form it is asked for."""
    for annotation in ("fused.types.Bounds", "fused.types.TileXYZ", "list"):
        with pytest.raises(ArgumentError, match="bounds: .*west,south,east,north") as caught:
            gives(definition(f"def f(bounds: {annotation}): return bounds"), bounds="nowhere")
        assert caught.value.parameter == "bounds"


def test_tile_outside_the_grid_is_refused(definition: Define) -> None:
    """Before anything runs."""
    run = Run(id=1, tile=(3, 8, 0), parameters={})

    with pytest.raises(TileError):
        execute(definition("def f(bounds): boom()"), run, {})


# -- arguments


def test_text_becomes_typed_arguments(definition: Define) -> None:
    """By the annotations, also those in quotes; a default is left alone."""
    udf = definition(
        "def f(a: int, b: 'float', c: bool = 'x', *, d: list[int], e=1, **rest): return a, b, c, d, e, rest"
    )

    value = gives(udf, a="1", b="2", d='["3"]', e="4", g="5")

    assert value == (1, 2.0, "x", [3], "4", {"g": "5"})


def test_annotation_that_names_nothing_is_passed_over(definition: Define) -> None:
    """A type checker may know it; we leave the value alone."""
    assert gives(definition("def f(a: 'Somewhere.Else', b: 'not python'): return a, b"), a="1", b="2") == ("1", "2")


def test_own_constant_may_be_a_default(definition: Define) -> None:
    """It is that of the cell."""
    assert gives(definition("LEAST = 4\ndef f(n: int = LEAST): return n")) == 4


# -- the call


def test_every_call_has_fresh_globals(definition: Define) -> None:
    """What one leaves behind the next does not see."""
    udf = definition("seen = []\ndef f():\n    seen.append(1)\n    return len(seen)")

    assert [gives(udf) for _ in range(3)] == [1, 1, 1]


def test_helpers_and_imports_belong_to_the_udf(definition: Define) -> None:
    """Also `fused` in either name."""
    udf = definition("""
        import math, fused
        from fused.types import Bounds
        def half(n): return n / 2
        def f():
            import fused_jupyter
            return half(math.pi), fused is fused_jupyter, Bounds is fused.types.Bounds
    """, name="f")  # fmt: skip

    assert gives(udf) == (1.5707963267948966, True, True)


@pytest.mark.parametrize("decorator", ["@fused.udf", "@fused.udf()", "@fused.udf(cache_max_age=0, engine='a')", "@udf",
                                       "@fused_jupyter.udf"])  # fmt: skip
def test_decorated_function_is_called_itself(definition: Define, decorator: str) -> None:
    """However the decorator is written: its name came from the notebook."""
    assert gives(definition(f"{decorator}\ndef f(n: int = 2): return n + 1"), n="4") == 5


def test_other_decorators_stay(definition: Define) -> None:
    """They are part of what the user wrote; arguments are typed by the function's own annotations."""
    udf = definition("""
        import functools
        def twice(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return 2 * function(*args, **kwargs)
            return wrapper
        @fused.udf
        @twice
        def f(n: int): return n
    """)

    assert gives(udf, n="21") == 42


def test_headers_are_modules_of_one_udf(definition: Define) -> None:
    """Two UDFs with a header of one name each see their own, and nobody else sees any."""
    udfs = [
        definition("import shared_helper\ndef f(): return shared_helper.give()",
                   headers=(HeaderModule(module_name="shared_helper", source=f"def give(): return {n}"),))
        for n in (1, 2)
    ]  # fmt: skip

    assert [gives(udf) for udf in (*udfs, *udfs)] == [1, 2, 1, 2]
    assert "shared_helper" not in sys.modules


def test_header_hides_a_module_for_the_run_only(definition: Define) -> None:
    """What had the name before has it again."""
    header = HeaderModule(module_name="colorsys", source="MINE = 1")
    import colorsys

    assert gives(definition("def f():\n    import colorsys\n    return colorsys.MINE", headers=(header,))) == 1
    assert sys.modules["colorsys"] is colorsys


def test_module_can_be_asked_for_by_what_it_defines(definition: Define) -> None:
    """Dataclasses and pickling look their module up."""
    udf = definition("""
        from dataclasses import dataclass
        import pickle
        @dataclass
        class Point:
            x: int
        def f(): return pickle.loads(pickle.dumps(Point(3))).x
    """)  # fmt: skip

    assert gives(udf) == 3


def test_relative_paths_follow_the_notebook(definition: Define, tmp_path: Path) -> None:
    """Files and modules beside it, also after another UDF went elsewhere or removed its directory."""
    (tmp_path / "data.txt").write_text("here")
    (tmp_path / "beside.py").write_text("X = 5")
    read = definition(
        "from pathlib import Path\ndef f():\n    import beside as b\n    return Path('data.txt').read_text(), b.X",
        directory=str(tmp_path),
    )
    away = definition("def g():\n    import os, tempfile\n    d = tempfile.mkdtemp()\n    os.chdir(d)\n    os.rmdir(d)")

    assert gives(read) == ("here", 5)
    gives(away)
    assert gives(read) == ("here", 5)
    assert str(tmp_path) not in sys.path


def test_directory_that_is_gone_is_no_obstacle(definition: Define) -> None:
    """The notebook may have been moved."""
    assert gives(definition("def f(): return 1", directory="/nowhere/at/all")) == 1


# -- errors


def raises(udf: UdfDefinition, **arguments: Any) -> UdfRuntimeError:
    with pytest.raises(UdfRuntimeError) as caught:
        gives(udf, **arguments)
    return caught.value


def test_error_names_the_line_of_the_udf(definition: Define) -> None:
    """Also where it was raised in a library below; the traceback begins in the cell."""
    error = raises(definition("""
        import json

        def helper(text):
            return json.loads(text)

        @fused.udf
        def f():
            return helper("{")
    """))  # fmt: skip

    assert error.child_exception_class == "JSONDecodeError"
    assert (error.line, error.source_line) == (5, "    return json.loads(text)")
    assert error.udf == "f"
    assert error.traceback is not None
    lines = error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].strip() == 'File "<udf f>", line 9, in f'
    assert "engines/execute" not in error.traceback
    assert "json/decoder.py" in error.traceback


def test_error_at_the_top_of_the_cell_names_its_line(definition: Define) -> None:
    """It runs with every call."""
    error = raises(definition("import nothing_of_that_name\ndef f(): pass"))

    assert (error.line, error.child_exception_class) == (1, "ModuleNotFoundError")


def test_unknown_name_says_how_to_bring_it_in(definition: Define) -> None:
    """The most usual mistake: it exists in the notebook only."""
    error = raises(definition("def f(): return gdf"))

    assert error.message.startswith("NameError: name 'gdf' is not defined. A UDF sees only its own cell")


@pytest.mark.parametrize(
    "statement", ["import sys; sys.exit(3)", "raise KeyboardInterrupt", "raise GeneratorExit", "exit()"]
)
def test_leaving_costs_only_the_call(definition: Define, statement: str) -> None:
    """What would end a program ends the UDF."""
    error = raises(definition(f"def f():\n    {statement}"))

    assert error.line == 2


def test_error_in_a_header_points_to_its_import(definition: Define) -> None:
    """Its own line is that of another file; the traceback shows it, and nothing of the import system."""
    header = HeaderModule(module_name="mine", source="\n\n1 / 0")

    error = raises(definition("def f():\n    import mine\n    return 1", headers=(header,)))

    assert (error.line, error.source_line) == (2, "    import mine")
    assert 'File "<udf f mine.py>", line 3' in (error.traceback or "")
    assert "importlib" not in (error.traceback or "")


def test_headers_may_import_one_another(definition: Define) -> None:
    """In whichever order they were given; one that nobody imports does not run."""
    sources = {"first": "from second import B\nA = B + 1", "second": "B = 1", "third": "1 / 0"}
    headers = tuple(HeaderModule(module_name=name, source=source) for name, source in sources.items())

    assert gives(definition("from first import A\ndef f(): return A", headers=headers)) == 2


def test_error_in_a_function_of_a_header_names_the_calling_line(definition: Define) -> None:
    """That is the last one in the cell."""
    header = HeaderModule(module_name="mine", source="def boom():\n    1 / 0")

    error = raises(definition("import mine\n\ndef f():\n    return mine.boom()", headers=(header,)))

    assert (error.line, error.source_line) == (4, "    return mine.boom()")


def test_error_without_a_text_is_no_obstacle(definition: Define) -> None:
    """Its own __str__ may be broken."""
    error = raises(
        definition("class E(Exception):\n    def __str__(self): raise ValueError\ndef f(): raise E", name="f")
    )

    assert error.message == "E: its text cannot be made"


def test_deep_recursion_is_an_error_like_others(definition: Define) -> None:
    """And its traceback stays short."""
    error = raises(definition("def f(): return f()"))

    assert error.child_exception_class == "RecursionError"
    assert len(error.traceback or "") <= 20_000


@pytest.mark.parametrize("body", ["return fused.api.list('s3://private')", "return n.upper()"])
def test_an_error_of_our_own_says_whether_the_udf_raised_it(definition: Define, body: str) -> None:
    """Only what is wrong with the arguments is the caller's fault; what the UDF raises may be its secret."""
    define = definition(f"def f(n: int = 1):\n    {body}")

    with pytest.raises(ArgumentError) as of_caller:
        call(define, {"n": "one"})
    with pytest.raises((ArgumentError, UdfRuntimeError)) as of_udf:
        call(define, {"n": 1})

    assert of_caller.value.child_exception_class is None
    assert of_udf.value.child_exception_class in {"ArgumentError", "AttributeError"}


def test_error_of_our_own_passes_with_its_class(definition: Define) -> None:
    """`fused.run` with a wrong argument inside a UDF says what is wrong there."""
    udf = definition("""
        def f():
            @fused.udf
            def inner(n: int): return n
            return fused.run(inner, n="four")
    """)  # fmt: skip

    with pytest.raises(ArgumentError, match="n: got 'four'") as caught:
        gives(udf)
    assert caught.value.udf == "inner"


def test_nested_udf_runs_here(definition: Define) -> None:
    """In the same process, from its own source."""
    udf = definition("""
        X = 1
        def f(n: int):
            @fused.udf
            def double(n: int):
                import os
                return 2 * n, os.getpid()
            return fused.run(double, n=n), double(n=n + 1)
    """)  # fmt: skip

    assert gives(udf, n="2") == ((4, os.getpid()), (6, os.getpid()))


# -- what comes back


def objects(udf: UdfDefinition) -> tuple[Any, list[Any]]:
    reply, pieces = execute(udf, Run(id=5, parameters={}, returns="object"), {})
    assert reply.id == 5
    assert list(reply.buffers) == [len(piece) for piece in pieces]
    return pickle.loads(pieces[0], buffers=pieces[1:]), list(pieces)


def test_object_comes_back_with_its_arrays_beside_it(definition: Define) -> None:
    """They are not copied into the pickle."""
    value, pieces = objects(
        definition("import numpy as np\ndef f(): return {'a': np.arange(100_000), 'b': np.empty(0)}")
    )

    assert (value["a"] == np.arange(100_000)).all()
    assert value["b"].shape == (0,)
    assert len(pieces[0]) < 1000


@pytest.mark.parametrize("what", ["lambda: 1", "(n for n in [1])", "__import__('threading').Lock()", "E()"])
def test_object_that_cannot_travel_is_named(definition: Define, what: str) -> None:
    """With its class, and what to return instead."""
    source = f"class E:\n    def __reduce__(self): raise RuntimeError('no')\ndef f(): return {what}"

    with pytest.raises(UdfSerializationError, match=r"which cannot leave its process .*; return data"):
        objects(definition(source, name="f"))


def test_encoded_answer_has_its_media_type(definition: Define) -> None:
    """In the format that was asked for."""
    run = Run(id=1, parameters={}, format="json")

    reply, pieces = execute(definition("def f(): return {'a': 1}"), run, {})

    assert (reply.status, reply.media_type.partition(";")[0], b"".join(pieces)) == (200, "application/json", b'{"a":1}')
    assert reply.seconds >= 0


def test_unknown_format_is_refused(definition: Define) -> None:
    """The message names it."""
    with pytest.raises(FormatError, match="docx"):
        execute(definition("def f(): return 1"), Run(id=1, parameters={}, format="docx"), {})


def test_alias_is_the_package(definition: Define) -> None:
    """One module object under two names, here as in the notebook."""
    assert gives(definition("import fused.api\ndef f():\n    return fused.api")) is fused_jupyter.api
