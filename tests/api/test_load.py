from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import fused_jupyter as fused
from fused_jupyter.errors import (
    UdfDefinitionError,
    UdfExistsError,
    UdfNotFoundError,
    UdfRuntimeError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.runtime import current
from fused_jupyter.udfs import HeaderModule, UdfDefinition

CODE = """
# How many legs
LEGS = 4

def legs(of):
    import utils
    return utils.times(of, LEGS)

@fused.udf(cache_max_age="1h")
def horses(n: int = 2):
    '''The legs of some horses.'''
    return legs(n)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is saved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FUSED_DATA_DIRECTORY", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    """Names are free again after each test."""
    registry = current().registry
    before = dict(registry._definitions)
    yield
    registry._definitions.clear()
    registry._definitions.update(before)


@pytest.fixture
def horses(definition: Callable[..., UdfDefinition]) -> fused.Udf:
    """It has a header module, and is registered nowhere."""
    header = HeaderModule(module_name="utils", source="def times(a, b): return a * b")
    return fused.Udf(definition(CODE, headers=(header,)))


def registered() -> list[str]:
    return [definition.name for definition in current().registry.all()]


# -- from where


def test_saved_and_loaded_it_gives_the_same(horses: fused.Udf) -> None:
    """By every way that there is, in a worker."""
    horses.to_directory()
    horses.to_directory("stable/horses_2")
    horses.to_file("horses.zip")
    with Path("stream.zip").open("wb") as file:
        horses.to_file(file)

    for source in (
        "horses",
        Path("horses"),
        "./horses/",
        "stable/horses_2",
        "horses.zip",
        Path("stream.zip").resolve(),
    ):
        loaded = fused.load(source)
        assert (loaded(), loaded(n=3), loaded.code, loaded.name) == (8, 12, CODE, "horses")
        assert loaded.definition.cache_max_age == 3600
        assert loaded.definition.directory == os.getcwd()  # noqa: PTH109


def test_python_file_is_loaded(tmp_path: Path) -> None:
    """With header modules that its decorator names, from its own folder."""
    Path("lib").mkdir()
    Path("lib/legs.py").write_text(
        "@fused.udf(headers=['utils.py'])\ndef udf(n: int):\n    import utils\n    return utils.X * n"
    )
    Path("lib/utils.py").write_text("X = 4")

    loaded = fused.load("lib/legs.py")

    assert (loaded.name, loaded(n=3)) == ("legs", 12)


@pytest.mark.parametrize(
    "code", ["@fused.udf\ndef six(): return 6", "def six(): return 6", "\n\n@fused.udf\ndef six():\n\treturn 6"]
)
def test_text_is_loaded(code: str) -> None:
    """Also one in a single line."""
    loaded = fused.load(code)

    assert (loaded.name, loaded.code, loaded()) == ("six", code, 6)


def test_registered_udf_is_loaded_by_its_name(horses: fused.Udf) -> None:
    """The newest of that name; a folder of the same name comes first, as paths do."""
    horses.register()
    assert fused.load("horses").digest == horses.digest

    Path("horses").mkdir()
    Path("horses/x.py").write_text("def x(): return 1")
    assert fused.load("horses").name == "x"


def test_udf_is_given_back(horses: fused.Udf) -> None:
    """A function may take either."""
    assert fused.load(horses) is horses


def test_home_is_known(horses: fused.Udf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell would have it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    horses.to_directory("~/saved")
    horses.to_file("~/saved.zip")

    assert fused.load("~/saved").name == fused.load("~/saved.zip").name == "horses"


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("nowhere.py", UdfNotFoundError, "there is no nowhere.py, seen from /"),
        ("nowhere.zip", UdfNotFoundError, "there is no nowhere.zip"),
        (Path("nowhere"), UdfNotFoundError, "there is no nowhere"),
        ("horse", UnknownUdfError, "did you mean horses.*and there is no file or folder 'horse' in /"),
        ("me@example.com/horses", UdfNotFoundError, "a UDF of another account cannot be loaded"),
        ("team/horses", UdfNotFoundError, "no UDF is saved yet.* there is no file or folder 'team/horses'"),
        ("s3://bucket/x.zip", UnknownUdfError, "of web addresses only those of GitHub can be loaded"),
        ("https://example.com/x.zip", UnknownUdfError, "of web addresses only those of GitHub can be loaded"),
        ("fsh_1a2b3c", UnknownTokenError, "none of your saved UDFs"),
        ("a" * 64, UnknownTokenError, "none of your saved UDFs"),
        ("x" * 100_000, UnknownUdfError, "no UDF is called 'xxx"),
        ("\0", UnknownUdfError, "no UDF is called"),
        ("~no-such-user", UnknownUdfError, "no UDF is called"),
        ("notes.txt", UdfDefinitionError, "notes.txt is neither a folder nor a .py file nor a .zip archive"),
        ("empty", UdfDefinitionError, "empty is no UDF: there is no meta.json, and no Python file"),
        ("fake.zip", UdfDefinitionError, "fake.zip is no zip archive that can be read"),
        ("\nx = 1", UdfDefinitionError, "there is no function here"),
    ],
)
def test_what_cannot_be_loaded_says_why(horses: fused.Udf, source: Any, error: type[Exception], says: str) -> None:
    """What came, what was wanted, what to do."""
    horses.register()
    Path("notes.txt").write_text("x")
    Path("fake.zip").write_text("x")
    Path("empty").mkdir()

    with pytest.raises(error, match=says):
        fused.load(source)


def test_missing_file_is_also_python_s_error() -> None:
    """Who catches that one catches ours."""
    with pytest.raises(FileNotFoundError):
        fused.load("nowhere.py")


# -- its name


def test_loading_registers_nothing(horses: fused.Udf) -> None:
    """A UDF of the notebook keeps its name, also when the loaded one runs and shows what it defines."""
    horses.to_directory()
    own = fused.load("@fused.udf\ndef horses(): return 'own'").register()

    loaded = fused.load("horses/")

    assert (loaded(), loaded.LEGS, fused.run("horses"), own()) == (8, 4, "own", "own")
    assert current().registry.get("horses") == own.definition


def test_name_is_taken_when_it_is_free(horses: fused.Udf) -> None:
    """By the first map or address; until then nobody can ask for it."""
    horses.to_directory()
    loaded = fused.load("horses")
    assert "horses" not in registered()

    loaded.map()

    assert current().registry.get("horses") == loaded.definition


def test_card_shows_addresses_that_are_its_own(horses: fused.Udf) -> None:
    """Before it has its name there are none."""
    horses.to_directory()
    loaded = fused.load("horses")

    assert "The legs of some horses." in loaded._repr_html_()
    assert "loaded, not registered" in loaded._repr_html_()
    loaded.register()
    assert loaded._repr_html_() == fused.Udf(loaded.definition)._repr_html_()


@pytest.mark.parametrize("ask", ["map", "file_url", "tile_url", "to_lonboard"])
def test_name_of_another_is_not_taken(horses: fused.Udf, ask: str) -> None:
    """A map of it would show the other one; the message says what to do, and that works."""
    horses.to_directory()
    own = fused.load("@fused.udf\ndef horses(): return 'own'").register()
    loaded = fused.load("horses/")

    with pytest.raises(UdfExistsError, match=r"another UDF called horses.*register\('other_name'\)"):
        getattr(loaded, ask)()

    ponies = loaded.register("ponies")
    assert (fused.run("ponies"), ponies.name, fused.run("horses")) == (8, "ponies", "own")
    loaded.register()
    assert (fused.run("horses"), own()) == (8, "own")
    with pytest.raises(UdfDefinitionError, match="'no name' cannot name a UDF"):
        loaded.register("no name")


def test_address_is_that_of_the_loaded(horses: fused.Udf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is registered by asking for it."""
    directory = current().directory
    directory.mkdir(parents=True, exist_ok=True)
    info = {"base_url": "/lab/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t0ken", "pid": 77}
    (directory / "jpserver-77.json").write_bytes(orjson.dumps(info))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/lab/")
    horses.to_directory()

    assert "/run/file/horses.csv?" in fused.load("horses").file_url("csv")
    assert "horses" in registered()


# -- what it defines


def test_what_the_code_defines_is_an_attribute(horses: fused.Udf) -> None:
    """Functions, constants, header modules; a function finds its header modules when it is called."""
    horses.to_directory()
    loaded = fused.load("horses")

    assert (loaded.LEGS, loaded.legs(3), loaded.utils.times("a", 2)) == (4, 12, "aa")
    assert loaded.legs is loaded.legs
    assert "utils" not in sys.modules


def test_code_runs_when_an_attribute_is_asked_for_and_not_before() -> None:
    """Nor for a name that it does not define, as notebooks try many on each object."""
    code = "import os\nos.environ['RAN'] = 'yes'\nX = 1\ndef f(): pass"
    os.environ.pop("RAN", None)

    loaded = fused.load(code)
    assert not hasattr(loaded, "nothing")
    assert not hasattr(loaded, "_repr_markdown_")
    repr(loaded), loaded._repr_html_()
    assert "RAN" not in os.environ

    assert loaded.X == 1
    assert os.environ.pop("RAN") == "yes"


def test_code_stays_unrun_on_request() -> None:
    """As in Fused."""
    loaded = fused.load("X = 1\ndef f(): return 2", import_globals=False, cache_key="k")

    with pytest.raises(AttributeError, match="has no attribute 'X'"):
        loaded.X  # noqa: B018
    assert loaded() == 2


def test_attribute_of_broken_code_is_an_error_with_its_line() -> None:
    """Not an attribute that is missing."""
    loaded = fused.load("X = 1 / 0\ndef f(): pass")

    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError") as caught:
        loaded.X  # noqa: B018
    assert caught.value.line == 1


def test_names_from_a_star_import_are_attributes(horses: fused.Udf) -> None:
    """Only running the code tells what they are."""
    loaded = fused.load("from math import *\ndef f(): pass")

    assert loaded.floor(2.5) == 2
    with pytest.raises(AttributeError, match="defines no 'nothing'"):
        loaded.nothing  # noqa: B018


# -- in workers


def test_udfs_with_headers_of_one_name_run_side_by_side(definition: Callable[..., UdfDefinition]) -> None:
    """In the same workers, and one inside the other."""
    for name in ("a", "b"):
        header = HeaderModule(module_name="utils", source=f"WHO = {name!r}")
        fused.Udf(definition(f"import utils\ndef {name}(): return utils.WHO", headers=(header,))).to_directory()
    Path("utils.py").write_text("WHO = 'notebook'")
    both = fused.load(
        textwrap.dedent("""
            import utils
            def both():
                a, b = fused.load("a"), fused.load("b")
                return a(), utils.WHO, b(), a.utils.WHO, b()
        """)
    )

    a, b = fused.load("a"), fused.load("b")

    assert [udf() for udf in (a, b, a, b)] == ["a", "b", "a", "b"]
    assert [both() for _ in range(3)] == [("a", "notebook", "b", "a", "b")] * 3


def test_relative_paths_of_a_loaded_udf_are_those_of_the_notebook(horses: fused.Udf) -> None:
    """As of a UDF in a cell; its folder may be read-only, or an archive."""
    Path("data.txt").write_text("here")
    fused.load("def read():\n    return open('data.txt').read()").to_directory("elsewhere/read")

    assert fused.load("elsewhere/read")() == "here"


def test_error_names_the_line_of_the_file(tmp_path: Path) -> None:
    """Nothing was put before the code."""
    Path("f.py").write_text("# one\n# two\n@fused.udf\ndef f():\n    return 1 / 0\n")

    with pytest.raises(UdfRuntimeError) as caught:
        fused.load("f.py")()

    assert (caught.value.line, caught.value.source_line) == (5, "    return 1 / 0")
