from __future__ import annotations

import textwrap
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.udfs import (
    Choices,
    HeaderModule,
    UdfDefinition,
    declared_uses,
    parse,
    placed,
    with_default_parameters,
)


def read(source: str, **choices: Any) -> UdfDefinition:
    return parse(textwrap.dedent(source), Choices(**choices))


@pytest.mark.parametrize(
    "source",
    [
        "def quakes(n): return n",
        "@fused.udf\ndef quakes(n): return n",
        "@fused.udf()\ndef quakes(n): return n",
        "@fused_jupyter.udf\ndef quakes(n): return n",
        "@udf\ndef quakes(n): return n",
        "import fused\n\n@fused.udf(cache_max_age='1h', engine='local')\ndef quakes(n):\n    return n\n",
        "from math import pi\nR = 2 * pi\ndef area(r): return R * r\n@fused.udf\ndef quakes(n): return area(n)",
        "def quakes(n):\n    def inner(): pass\n    return n",
        "class Box: pass\n\n@fused.udf\n@cached\ndef quakes(n): return n",
    ],
)
def test_cell_with_one_udf_is_one(source: str) -> None:
    """Bare or decorated, with what belongs to it beside it."""
    udf = read(source)

    assert (udf.name, udf.entrypoint, udf.source) == ("quakes", "quakes", source)
    assert [parameter.name for parameter in udf.parameters] == ["n"]


def test_name_on_the_magic_line_wins() -> None:
    """Over the decorator's, which wins over the function's."""
    source = "@fused.udf(name='second')\ndef third(): pass"

    assert read(source, name="first").name == "first"
    assert read(source).name == "second"
    assert read(source).entrypoint == "third"


@pytest.mark.parametrize("name", ["quakes", None])
def test_bare_function_among_helpers_is_found_by_its_name(name: str | None) -> None:
    """By the name on the magic's line, or because it is called `udf` as in official ones."""
    function = name or "udf"
    source = f"def clean(a): return a\n\ndef {function}(n): return clean(n)"

    assert read(source, name=name).entrypoint == function


def test_docstring_and_age_are_read() -> None:
    """They are shown and used without running anything."""
    udf = read('@fused.udf(cache_max_age="2m")\ndef f():\n    """Quakes.\n\n    All of them.\n    """')

    assert udf.description == "Quakes.\n\nAll of them."
    assert udf.cache_max_age == 120


def test_age_on_the_magic_line_wins() -> None:
    """Also when it says 0: keep nothing."""
    assert read("@fused.udf(cache_max_age='1h')\ndef f(): pass", cache_max_age=0).cache_max_age == 0
    assert read("def f(): pass").cache_max_age is None


def test_nothing_is_run() -> None:
    """A cell with side effects, or with names that are not there, is only read."""
    assert read("raise SystemExit(1)\nundefined()\ndef f(a=boom()): pass").parameters[0].default_text == "boom()"


def test_headers_travel_with_the_udf() -> None:
    """Source and name of each."""
    header = HeaderModule(module_name="helpers_of_mine", source="X = 1")

    assert read("def f(): pass", headers=(header,)).headers == (header,)


MISTAKES = [
    ("def f(:\n    pass", 1, "SyntaxError"),
    ("x = 1\ndef f():\n  return (", 3, "never closed"),
    ("def f():\nreturn 1", 2, "indented block"),
    ("x = 1\ndef f(a, a): pass", 2, "duplicate argument 'a'"),
    ("def f(): pass\nreturn 1", 2, "'return' outside function"),
    ("def f(): pass\nawait f()", 2, "outside function"),
    ("%matplotlib inline\ndef f(): pass", 1, "IPython magics"),
    ("import os\n!ls\ndef f(): pass", 2, "IPython magics"),
    ("@fused.udf\ndef f(): pass\n@fused.udf\ndef g(): pass", 4, r"2 UDFs here \(f, g\)"),
    ("def f(): pass\ndef g(): pass", 2, "which of f, g is the UDF"),
    ("\n\nasync def f(): pass", 3, "async def"),
    ("def f(*args): pass", 1, r"\*args: arguments come by name"),
    ("def f(a, /): pass", 1, "leave out the /"),
    ("@fused.udf(name='not-a-name')\ndef f(): pass", 2, "'not-a-name' cannot name a UDF"),
    ("@fused.udf(name='class')\ndef f(): pass", 2, "'class' cannot name a UDF"),
    ("@fused.udf(name=7)\ndef f(): pass", 2, "7 cannot name a UDF"),
    ("def größe(): pass", 1, "'größe' cannot name a UDF"),
    (f"def {'f' * 65}(): pass", 1, "cannot name a UDF"),
    ("@fused.udf(nmae='f')\ndef f(): pass", 1, "does not take 'nmae'; did you mean name"),
    ("@fused.udf(max_cache_age='0s')\ndef f(): pass", 1, "'max_cache_age'; did you mean cache_max_age"),
    ("@fused.udf(zzz=1)\ndef f(): pass", 1, "'zzz'; it takes cache_max_age, default_parameters, "),
    ("@fused.udf(**options)\ndef f(): pass", 1, "each argument by its name"),
    ("@fused.udf(default_parameters=[1])\ndef f(): pass", 2, r"got \[1\], need a dict"),
    ("@fused.udf(default_parameters={'m': 1})\ndef f(n, name): pass", 2, "no parameter 'm'; it takes n, name"),
    ("@fused.udf(default_parameters={'nam': 1})\ndef f(n, name): pass", 2, "no parameter 'nam'; did you mean name"),
    ("@fused.udf(default_parameters={'n': ...})\ndef f(n): pass", 2, "has no text; give data"),
    ("@fused.udf(default_parameters={'n': '\\ud800'})\ndef f(n): pass", 2, "give data"),
    ("@fused.udf(name=NAME)\ndef f(): pass", 1, "literal value"),
    ("@fused.udf(name={[]: 1})\ndef f(): pass", 1, "literal value"),
    ("@fused.udf(cache_max_age='2w')\ndef f(): pass", 2, "cache_max_age: got '2w'"),
    ("@fused.udf(headers=['a.py'])\ndef f(): pass", 2, "--header FILE"),
]


@pytest.mark.parametrize(("source", "line", "says"), MISTAKES)
def test_mistake_names_its_line(source: str, line: int, says: str) -> None:
    """Counted from 1 as the editor shows it, with the text that stands there."""
    with pytest.raises(UdfDefinitionError, match=says) as caught:
        read(source)

    error = caught.value
    assert (error.line, (error.source_line or "").strip()) == (line, source.splitlines()[line - 1].strip())
    assert f"(line {line})" in error.message


def test_two_udfs_stay_a_mistake_with_a_name() -> None:
    """The name on the line does not choose one and drop the other."""
    with pytest.raises(UdfDefinitionError, match="2 UDFs"):
        read("@fused.udf\ndef f(): pass\n@fused.udf\ndef g(): pass", name="f")


@pytest.mark.parametrize(
    "source", ["", "x = 1", "# nothing", "class f: pass", "f = lambda: 1", "if 1:\n    def f(): pass"]
)
def test_cell_without_a_function_says_what_to_write(source: str) -> None:
    """There is no line to name."""
    with pytest.raises(UdfDefinitionError, match="no function here; write `def"):
        read(source)


@pytest.mark.parametrize("source", ["def f(): pass\x00", "def f(): return " + "(" * 5000 + ")" * 5000, "x = '\ud800'"])
def test_text_that_is_no_source_is_refused(source: str) -> None:
    """Whatever the parser raises, the user gets an error of ours."""
    with pytest.raises(UdfDefinitionError):
        read(source)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HeaderModule(module_name="mine", source="x = 1\ndef f(:"), r"header mine: SyntaxError.*\(line 2\)"),
        (HeaderModule(module_name="my-module", source=""), "no name that can be imported"),
        (HeaderModule(module_name="class", source=""), "no name that can be imported"),
    ],
)
def test_mistake_in_a_header_is_found_before_it_runs(header: HeaderModule, says: str) -> None:
    """It says which file and where in it."""
    with pytest.raises(UdfDefinitionError, match=says):
        read("def f(): pass", headers=(header,))


def test_default_parameters_become_the_defaults() -> None:
    """In the signature, the schema and the digest; what has one is not required any more."""
    udf = read("@fused.udf(default_parameters={'n': 3, 'day': (1, 2)})\ndef f(n: int, day=None, m: int = 1): pass")

    assert udf.default_parameters == {"n": 3, "day": [1, 2]}
    assert udf.signature == "f(n: int = 3, day = [1, 2], m: int = 1)"
    assert udf.schema()["required"] == []
    assert udf.schema()["properties"]["n"] == {"type": "integer", "default": 3}


def test_default_parameters_may_be_anything_of_a_udf_that_takes_all() -> None:
    """`**rest` makes every name a known one."""
    assert read("@fused.udf(default_parameters={'m': 1})\ndef f(**rest): pass").default_parameters == {"m": 1}


def test_other_default_parameters_are_another_version() -> None:
    """Results of the old ones do not answer for it; those of the source come back when they are dropped."""
    udf = read("@fused.udf(default_parameters={'n': 3})\ndef f(n: int = 1, m=2): pass")

    other = with_default_parameters(udf, {"m": date(2024, 5, 1)})

    assert other.digest != udf.digest
    assert other.default_parameters == {"m": "2024-05-01"}
    assert other.signature == "f(n: int = 1, m = '2024-05-01')"
    assert with_default_parameters(other, {"n": 3}) == udf
    with pytest.raises(UdfDefinitionError, match="no parameter 'k'"):
        with_default_parameters(udf, {"k": 1})


def test_what_the_cloud_needs_is_kept() -> None:
    """For who saves it; it changes no digest."""
    udf = read("@fused.udf(engine='large', disk_size_gb=16)\ndef f(): pass")

    assert udf.placement == {"engine": "large", "disk_size_gb": 16}
    assert replace(udf, placement={}).digest == udf.digest


@pytest.mark.parametrize("engine", ["local", "remote", "realtime", "small", "large", "kernel"])
def test_only_one_engine_is_another_place(engine: str) -> None:
    """The others are names of Fused's cloud, and another version of the UDF is none of them."""
    source = f"@fused.udf(engine={engine!r})\ndef f(): pass"

    assert parse(source).runs_in_kernel is (engine == "kernel")
    assert placed(parse(source), "local").digest == replace(parse(source), placement={}).digest
    assert (parse(source).digest == replace(parse(source), placement={}).digest) is (engine != "kernel")


def test_use_names_variables() -> None:
    """One, several, or none; nothing else."""
    sources = ["use='a'", "use='a, b'", "use=('a', 'b', 'a')", "use=None", "name='g'"]

    names = [declared_uses(f"@fused.udf({said})\ndef f(): pass") for said in sources]

    assert names == [("a",), ("a", "b"), ("a", "b"), (), ()]
    with pytest.raises(UdfDefinitionError, match="use: got 5, need names of variables"):
        declared_uses("@fused.udf(use=5)\ndef f(): pass")
