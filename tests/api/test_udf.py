# The functions are UDFs as users write them.
# ruff: noqa: ANN002, ANN201, ANN202
from __future__ import annotations

import copy
import functools
import math
import pickle
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

import fused_jupyter as fused
from fused_jupyter.api.headers import header_modules
from fused_jupyter.errors import ArgumentError, NoServerError, UdfDefinitionError, UdfRuntimeError
from fused_jupyter.runtime import current
from fused_jupyter.udfs import Choices, HeaderModule, parse

# The text of these functions is what runs elsewhere.


@fused.udf
def double(n: int = 2, *, more: int = 0):
    """Twice the number <b>& more</b>."""
    return 2 * n + more


@pytest.fixture(autouse=True)
def _registered() -> None:
    current().register(double.definition)


def test_decorated_function_is_a_udf() -> None:
    """With what is known of it."""
    assert isinstance(double, fused.Udf)
    assert (double.name, double.signature) == ("double", "double(n: int = 2, *, more: int = 0)")
    assert double.code.startswith("@fused.udf\ndef double(")
    assert len(double.digest) == 64
    assert [parameter.name for parameter in double.definition.parameters] == ["n", "more"]
    assert repr(double) == "<Udf double(n: int = 2, *, more: int = 0)>"


def test_decorating_registers() -> None:
    """Under its name."""
    assert current().registry.get("double") == double.definition


def test_decorator_takes_a_name_an_age_and_headers(tmp_path: Path) -> None:
    """With literal values, as the text is what runs."""
    header = {"module_name": "factor", "source_code": "FACTOR = 3"}

    def triple(n: int) -> int:
        import factor

        return n * factor.FACTOR

    made = fused.udf(name="thrice", cache_max_age="1h", headers=[header])(triple)

    assert made.name == "thrice"
    assert made.definition.cache_max_age == 3600
    assert made(5) == 15


def test_arguments_for_the_cloud_change_nothing() -> None:
    """A public UDF that names a machine runs here as well."""

    @fused.udf(instance_type="small", disk_size_gb=16, region="us-west-2", engine="remote")
    def big(n: int = 1):
        return n

    assert big(7) == 7


def test_unknown_argument_of_the_decorator_is_python_s_error() -> None:
    """As of every function."""
    with pytest.raises(TypeError, match="nmae"):
        fused.udf(nmae="x")  # type: ignore[call-overload]


def test_call_by_position_and_by_name() -> None:
    """As the function itself would be called."""
    assert [double(), double(4), double(n=5), double("6"), double(1, more=1)] == [4, 8, 10, 12, 3]


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((1, 2), {}, "takes 1 positional arguments, 2 were given"),
        ((1,), {"n": 2}, "got n twice"),
        ((), {"m": 1}, "m: the UDF has no such parameter"),
        (("four",), {}, "n: got 'four'"),
    ],
)
def test_wrong_call_is_named(args: Any, kwargs: Any, says: str) -> None:
    """With the signature or the parameter."""
    with pytest.raises(ArgumentError, match=says):
        double(*args, **kwargs)


def test_object_keeps_its_version() -> None:
    """Defining the name again makes another UDF; this one gives what it gave."""

    def version(text: str) -> fused.Udf:
        namespace: dict[str, Any] = {}
        source = f"def again(): return {text}"
        import linecache

        linecache.cache[f"<{text}>"] = (len(source), None, [source], f"<{text}>")
        exec(compile(source, f"<{text}>", "exec"), namespace)
        return fused.udf(namespace["again"])

    one, two = version("1"), version("2")

    assert (one(), two(), fused.run("again")) == (1, 2, 2)


def test_own_decorators_below_are_kept() -> None:
    """They belong to the function; what they need must stand in the source."""

    @fused.udf
    @functools.lru_cache
    def cached(n: int):
        import functools  # noqa: F401

        return n

    assert cached.name == "cached"


CELL = """
import math, utils
from utils import FACTOR

HALF = 0.5
ran = []
ran.append(1)

class Shape:
    pass

def helper(n):
    return n * FACTOR * len(ran)

@fused.udf(default_parameters={"n": 3}, cache_max_age="1h", engine="large", disk_size_gb=16, region="us-west-2")
def scaled(n: int = 1, m: int = 0):
    return helper(n) + m
"""
UTILS = HeaderModule(module_name="utils", source="FACTOR = 2\ndef read(): return __name__")


@pytest.fixture
def scaled() -> fused.Udf:
    return fused.Udf(replace(parse(CELL, Choices(headers=(UTILS,))), metadata={"fused:id": "7"}))


def test_udf_has_the_attributes_of_the_reference(scaled: fused.Udf) -> None:
    """What a UDF written for Fused's own client may ask for."""
    assert (scaled.name, scaled.entrypoint, scaled.type) == ("scaled", "scaled", "geopandas_v2")
    assert scaled.code == CELL
    assert [(header.module_name, header.source_code, header.source_file) for header in scaled.headers] == [
        ("utils", UTILS.source, "utils.py")
    ]
    assert (scaled.parameters, scaled.metadata) == ({"n": 3}, {"fused:id": "7"})
    assert (scaled.cache_max_age, scaled.engine, scaled.disk_size_gb, scaled.region) == (3600, "large", 16, "us-west-2")
    assert (scaled.collection_name, scaled.collection_id) == ("default", None)
    assert (scaled.catalog_url, scaled.original_headers) == (None, None)
    assert scaled.eval_schema() is scaled


def test_udf_is_frozen(scaled: fused.Udf) -> None:
    """What was shown to others does not change under their hands."""
    with pytest.raises(AttributeError, match="cache_max_age of the UDF scaled cannot be set.*use set_parameters"):
        scaled.cache_max_age = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        scaled.parameters["n"] = 4  # type: ignore[index]
    with pytest.raises(TypeError):
        scaled.metadata["a"] = 1  # type: ignore[index]


def test_default_parameters_stand_where_a_call_gives_none(scaled: fused.Udf) -> None:
    """They win over the signature's, and an argument wins over them."""
    assert scaled.signature == "scaled(n: int = 3, m: int = 0)"
    assert [scaled(), scaled(4), scaled(n="5", m=1), fused.run(scaled)] == [6, 8, 11, 6]


def test_other_parameters_are_another_udf(scaled: fused.Udf) -> None:
    """The old one stays; old results do not answer for the new one, also where results are kept."""
    other = scaled.set_parameters({"m": 1})
    only = other.set_parameters({"m": 2}, replace_parameters=True)

    assert (scaled.parameters, other.parameters, only.parameters) == ({"n": 3}, {"n": 3, "m": 1}, {"m": 2})
    assert len({scaled.digest, other.digest, only.digest}) == 3
    assert [udf(cache_max_age="1h") for udf in (scaled, other, only, scaled)] == [6, 7, 4, 6]
    with pytest.raises(UdfDefinitionError, match="no parameter 'k'"):
        scaled.set_parameters({"k": 1})


def test_parameters_change_in_place_where_one_says_so(scaled: fused.Udf) -> None:
    """The object, and what its name means if it meant this version."""
    mine = scaled.register()
    assert scaled.set_parameters({"n": 5}, inplace=True) is scaled
    assert (scaled(), fused.run("scaled")) == (10, 10)
    assert mine() == 6

    mine.set_parameters({"n": 7}, inplace=True)

    assert (mine(), fused.run("scaled")) == (14, 10)


def test_parameters_may_be_tables_and_dates() -> None:
    """They travel as text, and the annotation makes them what they were."""

    @fused.udf(default_parameters={"day": date(2024, 5, 1), "rows": pd.DataFrame({"a": [1, 2]})})
    def total(day: date, rows: pd.DataFrame):
        return day.year, int(rows["a"].sum())

    assert total() == (2024, 3)


def test_decorator_in_a_cell_may_say_what_only_the_notebook_knows(tmp_path: Path) -> None:
    """It has run there; in the worker its arguments are not looked at."""
    (tmp_path / "units.py").write_text("KM = 1000")
    age, path = "1h", tmp_path / "units.py"

    @fused.udf(cache_max_age=age, headers=[path], default_parameters=dict(n=2))  # noqa: C408
    def metres(n: int):
        import units

        return n * units.KM

    assert (metres(), metres.cache_max_age) == (2000, 3600)


def test_udf_inside_a_udf_may_have_default_parameters() -> None:
    """Also some that only the outer one knows; and a UDF knows itself by its name."""

    @fused.udf(default_parameters={"n": 3})
    def outer(n: int, depth: int = 0):
        @fused.udf(default_parameters={"m": n})
        def inner(m: int):
            return 10 * m

        return (inner(), inner(m=1), None if depth else outer(depth=1))

    assert outer() == (30, 10, (30, 10, None))


def test_run_local_gives_all_that_is_known(scaled: fused.Udf) -> None:
    """As in the reference."""
    result = scaled.run_local(n=2)

    assert (result.data, result.error) == (4, None)


def test_what_the_code_defines_are_attributes(scaled: fused.Udf) -> None:
    """Functions, classes, constants, imports and header modules; run once, here."""
    assert scaled.helper(5) == 10
    assert (scaled.HALF, scaled.math.pi, scaled.FACTOR) == (0.5, math.pi, 2)
    assert scaled.utils.read() == "utils"
    assert isinstance(scaled.Shape(), scaled.Shape)
    assert scaled.helper is scaled.helper
    assert {"helper", "HALF", "utils", "set_parameters", "name"} <= set(dir(scaled))
    assert "utils" not in sys.modules


def test_only_header_is_utils_too() -> None:
    """Whatever it is called."""
    header = HeaderModule(module_name="mine", source="X = 1")

    assert fused.Udf(parse("def f(): pass", Choices(headers=(header,)))).utils.X == 1


def test_code_runs_only_when_it_may_have_the_attribute() -> None:
    """A notebook looks for `_repr_png_` on every object, and a typing mistake should not cost a minute."""
    loud = fused.Udf(parse("import nothing_of_that_name\ndef helper(): pass\n@fused.udf\ndef f(): pass"))

    for name in ("_repr_png_", "_ipython_display_", "__wrapped__", "_private", "shape", "utils"):
        assert not hasattr(loud, name)
    with pytest.raises(AttributeError, match="the UDF f has no attribute 'helpr'; did you mean helper"):
        loud.helpr  # noqa: B018
    with pytest.raises(UdfRuntimeError, match="ModuleNotFoundError"):
        loud.helper  # noqa: B018


def test_looking_at_the_code_registers_nothing(scaled: fused.Udf) -> None:
    """The decorator in it runs too."""
    before = current().registry.all()

    assert scaled.scaled.name == "scaled"
    assert current().registry.all() == before


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda udf: pickle.loads(pickle.dumps(udf))])
def test_udf_can_be_copied_and_travels(scaled: fused.Udf, again: Any) -> None:
    """Also after its code was looked at: modules are left behind."""
    assert scaled.HALF == 0.5

    assert again(scaled) == scaled
    assert hash(again(scaled)) == hash(scaled)
    assert again(scaled).helper(1) == 2
    assert again(scaled) != scaled.set_parameters({"n": 9})


def test_udf_may_be_an_argument() -> None:
    """One UDF calls what another one is given."""

    @fused.udf
    def twice(child: Any, n: int):
        return child(child(n))

    assert twice(double, 3) == 12


@pytest.mark.parametrize("function", [len, functools.partial(print), 7])
def test_what_has_no_source_is_refused(function: Any) -> None:
    """The message says what a UDF is."""
    with pytest.raises(UdfDefinitionError, match="a UDF is a function written in a notebook cell or a file"):
        fused.udf(function)


def test_mistake_registers_nothing() -> None:
    """What was there stays."""
    before = current().registry.all()

    with pytest.raises(UdfDefinitionError):

        @fused.udf
        def starred(*args):
            return args

    assert current().registry.all() == before


def test_headers_are_files_or_text(tmp_path: Path) -> None:
    """A file gives its own name."""
    (tmp_path / "mine.py").write_text("X = 'ü'", encoding="utf-8")

    modules = header_modules([str(tmp_path / "mine.py"), {"module_name": "other", "source_code": "Y = 1"}])

    assert [(module.module_name, module.source) for module in modules] == [("mine", "X = 'ü'"), ("other", "Y = 1")]


def test_header_may_have_another_name(tmp_path: Path) -> None:
    """As the reference has it; a header that is one already stays."""
    path = tmp_path / "mine.py"
    path.write_text("X = 1")

    modules = header_modules([path, {"source_file": str(path)}, {"source_file": str(path), "module_name": "m"}, UTILS])

    assert [module.module_name for module in modules] == ["mine", "mine", "m", "utils"]
    with pytest.raises(UdfDefinitionError, match="need the path of a Python file, or"):
        header_modules([{"name": "x"}])


def test_header_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With where it was looked for."""
    with pytest.raises(UdfDefinitionError, match=r"header 'nowhere\.py': No such file.*give the path from"):
        header_modules(["nowhere.py"])


@pytest.mark.parametrize("method", ["file_url", "tile_url"])
def test_address_without_a_server_says_what_works(method: str) -> None:
    """Plain Python has no URLs."""
    with pytest.raises(NoServerError, match="calling them and fused.run work.*open the notebook in JupyterLab"):
        getattr(double, method)()


@pytest.fixture
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a Jupyter server with the extension had started this kernel."""
    import orjson

    directory = current().directory
    directory.mkdir(parents=True, exist_ok=True)
    info = {"base_url": "/lab/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t0ken", "pid": 77}
    (directory / "jpserver-77.json").write_bytes(orjson.dumps(info))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/lab/")


@pytest.mark.usefixtures("_server")
def test_addresses_pin_the_kernel() -> None:
    """They carry the arguments as text, and no token."""
    kernel = current().kernel_id

    assert double.file_url("csv", n=3) == f"http://localhost:8888/lab/fused/run/file/double.csv?kernel={kernel}&n=3"
    assert double.tile_url() == f"http://localhost:8888/lab/fused/run/tiles/double/{{z}}/{{x}}/{{y}}?kernel={kernel}"
    assert double.file_url(a=None, b=[1, 2], c="x y", d=True).endswith(f"kernel={kernel}&b=%5B1%2C2%5D&c=x+y&d=true")


@pytest.mark.usefixtures("_server")
def test_addresses_carry_any_argument() -> None:
    """As the text that the annotation reads again; what has none is named."""

    def query(**arguments: Any) -> str:
        return double.file_url(**arguments).partition("&")[2]

    assert query(at=date(2024, 5, 1)) == "at=2024-05-01"
    assert query(area=shapely.Point(1, 2)) == "area=POINT+%281+2%29"
    assert query(n=np.int64(3), d={"k": (1, date(2024, 5, 1))}) == "n=3&d=%7B%22k%22%3A%5B1%2C%222024-05-01%22%5D%7D"
    assert query(data=b"\xff\xef") == "data=%2F%2B8%3D"
    with pytest.raises(ArgumentError, match="a: a object has no text") as caught:
        query(a=object())
    assert caught.value.parameter == "a"


@pytest.mark.usefixtures("_server")
def test_addresses_carry_parameters_that_others_do_not_know() -> None:
    """The server runs the registered version, so what was set on this object goes along."""
    other = double.set_parameters({"n": 5, "more": 1})

    assert other.file_url(more=2).endswith("&n=5&more=2")
    other.register()
    assert "n=5" not in other.file_url()
    assert "n=5" not in other.tile_url()


@pytest.mark.usefixtures("_server")
def test_card_is_small_and_escaped() -> None:
    """Signature, addresses and what to do next, under 3 kB and without a script."""
    card = double._repr_html_()

    assert len(card.encode()) < 3000
    assert "double(n: int = 2" in card
    assert "/lab/fused/run/file/double?kernel=" in card
    assert "/lab/fused/run/tiles/double/{z}/{x}/{y}" in card
    assert "double.map()" in card
    assert "&lt;b&gt;&amp; more&lt;/b&gt;" in card
    assert "<b>" not in card
    assert "<script" not in card
    assert "t0ken" not in card


def test_card_without_a_server_says_so() -> None:
    """It is shown in every notebook."""
    card = double._repr_html_()

    assert len(card.encode()) < 3000
    assert "no Jupyter server" in card


def test_card_escapes_defaults() -> None:
    """A default value may hold anything."""

    @fused.udf
    def nasty(text: str = "<img src=x onerror=alert(1)>"):
        return text

    assert "<img" not in nasty._repr_html_()
