# The functions are UDFs as users write them.
# ruff: noqa: ANN202
from __future__ import annotations

import getpass
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.api.saved import library
from fused_jupyter.errors import UdfDefinitionError, UdfExistsError, UdfNotFoundError, UnknownUdfError
from fused_jupyter.runtime import current
from fused_jupyter.udfs import HeaderModule, UdfDefinition


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No UDF is saved, and names are free again after each test."""
    for udf in fused.api.get_udfs().values():
        udf.delete_saved()
    monkeypatch.chdir(tmp_path_factory.mktemp("notebook"))
    registry = current().registry
    before = dict(registry._definitions)
    yield
    registry._definitions.clear()
    registry._definitions.update(before)


@pytest.fixture
def udf(definition: Callable[..., UdfDefinition]) -> Callable[..., fused.Udf]:
    """A UDF from its text, registered nowhere."""
    return lambda text, **choices: fused.Udf(definition(text, directory=os.getcwd(), **choices))  # noqa: PTH109


# -- saving


def test_saved_and_loaded_it_gives_the_same(udf: Callable[..., fused.Udf]) -> None:
    """By its name, whose it is, its collection and its id; with all that belongs to it."""
    header = HeaderModule(module_name="utils", source="def times(a, b): return a * b")
    code = "import utils\nLEGS = 4\n@fused.udf(cache_max_age='1h')\ndef horses(n: int = 2): return utils.times(n, LEGS)"
    horses = udf(code, headers=(header,), default_parameters={"n": 3}).to_fused()
    user = getpass.getuser()

    for name in ("horses", "me/horses", "team/horses", f"{user}/horses", "default/horses", horses.metadata["fused:id"]):
        loaded = fused.load(name)
        assert (loaded(), loaded(n=1), fused.run(name), loaded.code, loaded.LEGS) == (12, 4, 12, code, 4)
        assert (loaded.digest, loaded.metadata, loaded.cache_max_age) == (horses.digest, horses.metadata, 3600)
    assert fused.run("me", "horses", n=2) == 8


def test_it_is_there_for_other_processes(udf: Callable[..., fused.Udf]) -> None:
    """A notebook of tomorrow."""
    udf("def six(): return 6").to_fused()
    code = "import fused_jupyter as fused; print(fused.load('six').code, fused.api.get_udfs().keys())"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "def six(): return 6 dict_keys(['default/six'])"


def test_udf_knows_where_it_is_saved(udf: Callable[..., fused.Udf]) -> None:
    """Also the one that answers for the name; what it gives is as before."""
    code = "def six(): return 6"
    own = udf(code).register()

    assert own.to_fused(collection_name="sums", create_collection=True) is own
    assert own.collection_name == "sums"
    assert own.metadata["fused:id"] == library().find("six", collection="sums").id
    assert own.collection_id == fused.api.get_collection_by_name("sums").id
    assert current().registry.get("six") == own.definition
    assert fused.api.get_collection_by_id(own.collection_id).name == "sums"


def test_another_udf_of_the_name_is_replaced_only_on_request(udf: Callable[..., fused.Udf]) -> None:
    """The error shows the difference; versions are kept."""
    first = udf("def f():\n    a = 1\n    return a").to_fused()
    second = udf("def f():\n    a = 2\n    return a")

    with pytest.raises(UdfExistsError, match=r"(?s)overwrite=True.*-    a = 1\n\+    a = 2"):
        second.to_fused()
    assert fused.run("me/f") == 1
    second.to_fused(overwrite=True)

    assert fused.run("me/f") == 2
    assert second.metadata["fused:id"] == first.metadata["fused:id"]
    assert [each.definition.source for each in library().versions(first.metadata["fused:id"])] != [second.code]


def test_same_code_is_saved_once(udf: Callable[..., fused.Udf]) -> None:
    """Running the notebook again is no mistake."""
    first = udf("def f(): return 1").to_fused()

    again = udf("def f(): return 1").to_fused()

    assert again.metadata == first.metadata
    assert len(library().versions(first.metadata["fused:id"])) == 1


def test_what_was_saved_before_may_replace_itself(udf: Callable[..., fused.Udf]) -> None:
    """Changed in this notebook, or loaded from where it is."""
    udf("def f(n: int = 1): return n").to_fused()

    fused.load("f").set_parameters({"n": 2}).to_fused()

    assert fused.run("me/f") == 2


def test_what_needs_the_notebook_is_not_saved() -> None:
    """It says why, and what to do."""
    rates = {"a": 2}  # noqa: F841

    @fused.udf(engine="kernel")
    def here():
        return 1

    with pytest.raises(UdfDefinitionError, match="runs with no notebook open: leave the engine out"):
        here.to_fused()
    assert not fused.api.get_udfs()


def test_variables_of_the_notebook_are_not_saved(udf: Callable[..., fused.Udf]) -> None:
    """Only code is."""
    from fused_jupyter.udfs import using

    uses = fused.Udf(using(udf("def f(): return model").definition, {"model": "0" * 64}, directory=""))

    with pytest.raises(UdfDefinitionError, match=r"uses variables of the notebook \(model\).*load the data inside"):
        uses.to_fused()


def test_deleted_it_is_gone(udf: Callable[..., fused.Udf]) -> None:
    """In the notebook it goes on, and may be saved again."""
    six = udf("def six(): return 6").register().to_fused()

    six.delete_saved()

    assert (six(), "fused:id" in six.metadata, fused.run("six")) == (6, False, 6)
    with pytest.raises(UdfNotFoundError):
        fused.load("me/six")
    with pytest.raises(UnknownUdfError, match="this version of six is not saved"):
        six.delete_saved()
    assert six.to_fused().metadata["fused:id"]


def test_other_code_of_the_name_is_not_deleted(udf: Callable[..., fused.Udf]) -> None:
    """Who means that one loads it."""
    udf("def f(): return 1").to_fused()

    with pytest.raises(UnknownUdfError, match=r"fused.load\('f'\).delete_saved\(\)"):
        udf("def f(): return 2").delete_saved()

    assert fused.run("me/f") == 1


# -- finding


def test_order_of_names_is_as_documented(udf: Callable[..., fused.Udf]) -> None:
    """A path, then what the notebook has, then what is saved."""
    udf("def f(): return 'saved'").to_fused()
    assert fused.load("f")() == fused.run("f") == "saved"

    udf("def f(): return 'registered'").register()
    assert fused.load("f")() == fused.run("f") == "registered"
    assert fused.load("f", collection_name="default")() == "saved"

    Path("f").mkdir()
    Path("f/f.py").write_text("def f(): return 'folder'")
    assert fused.load("f")() == "folder"
    assert fused.run("f") == "registered"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("horse", "horses"),
        ("me/horse", "horses"),
        ("nobody@example.com/horses", "a UDF of another account cannot be loaded"),
        ("stables/horses", "there is no collection 'stables'"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000"),
    ],
)
def test_what_is_not_saved_says_what_is(udf: Callable[..., fused.Udf], name: str, says: str) -> None:
    """By load and run alike."""
    udf("def horses(): return 1").to_fused()

    for use in (fused.load, fused.run):
        with pytest.raises(UnknownUdfError, match=says):
            use(name)


def test_udfs_are_listed(udf: Callable[..., fused.Udf]) -> None:
    """By collection and name; each can be called."""
    udf("def b(): 'Second.'; return 'b'").to_fused()
    udf("def a(): return 'a'").to_fused()
    udf("def a(): return 'other a'").to_fused(collection_name="more", create_collection=True)

    udfs = fused.api.get_udfs()

    assert [*udfs] == ["default/a", "more/a", "default/b"] or [*udfs] == ["default/a", "default/b", "more/a"]
    assert (udfs["a"](), udfs["more/a"](), udfs["default/b"]()) == ("a", "other a", "b")
    assert [*fused.api.get_udfs(collection_name="more")] == ["more/a"]
    assert len(fused.api.get_udfs(2)) == 2
    assert [*fused.api.get_udfs(2), *fused.api.get_udfs(skip=2)] == [*udfs]
    assert "<td>more</td>" in udfs._repr_html_()
    assert "Second." in udfs._repr_html_()
    with pytest.raises(KeyError, match="there are default/a"):
        udfs["nothing"]


# -- inside of UDFs


def test_udf_runs_saved_ones_by_their_names(udf: Callable[..., fused.Udf]) -> None:
    """In its own process, without asking anybody; run and load, in threads too."""
    udf("def inner(n: int = 1): return 10 * n").to_fused()
    outer = udf(
        """
        def outer():
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor() as pool:
                threaded = pool.submit(fused.run, "inner", n=3).result()
            return fused.run("inner"), fused.load("inner")(n=2), threaded, fused.run("me/inner", n=4)
        """
    )

    assert outer() == (10, 20, 30, 40)


def test_siblings_come_before_other_names(udf: Callable[..., fused.Udf]) -> None:
    """Of the same collection; a UDF that is in none sees the default ones."""
    who = "def who(): return fused.run('name')"
    udf("def name(): return 'default'").to_fused()
    udf("def name(): return 'sharks'").to_fused(collection_name="sharks", create_collection=True)
    udf(who).to_fused(collection_name="sharks")

    assert fused.load("sharks/who")() == "sharks"
    assert udf(who)() == "default"


def test_kept_result_ends_when_what_it_ran_is_saved_anew(udf: Callable[..., fused.Udf]) -> None:
    """As it was not made by that code; a result that asked for no name is kept."""
    inner = "def inner(): return {}"
    udf(inner.format(1)).to_fused()
    outer = udf("import time\ndef outer(): return fused.run('inner'), time.time()", cache_max_age="1h")
    alone = udf("import time\ndef alone(): return time.time()", cache_max_age="1h")
    first, other = outer(), alone()
    assert outer() == first

    udf(inner.format(2)).to_fused(overwrite=True)

    assert (first[0], outer()[0]) == (1, 2)
    assert outer() == outer()
    assert alone() == other


def test_kept_result_ends_when_a_name_is_saved_for_the_first_time(udf: Callable[..., fused.Udf]) -> None:
    """It depends on what it did not find, too."""
    code = textwrap.dedent("""
        def outer():
            try:
                return fused.run("later")
            except Exception as exc:
                return type(exc).__name__
    """)
    outer = udf(code, cache_max_age="1h")
    assert outer() == "UnknownUdfError"

    udf("def later(): return 7").to_fused()

    assert outer() == 7


def test_saved_udf_keeps_its_directory(udf: Callable[..., fused.Udf], tmp_path: Path) -> None:
    """Where its relative paths begin, whoever runs it later and wherever."""
    Path("data.txt").write_text("here")
    udf("def read(): return open('data.txt').read()").to_fused()
    os.chdir(tmp_path)

    result: Any = fused.load("read")()

    assert result == "here"


def test_folder_does_not_know_where_the_udf_was_saved(udf: Callable[..., fused.Udf]) -> None:
    """Whoever loads it has another library; also where a folder says so."""
    six = udf("def six(): return 6").to_fused(collection_name="sums", create_collection=True)

    six.to_directory()
    six.to_file("six.zip")

    for path in ("six", "six.zip"):
        assert not {name for name in fused.load(path).metadata if name in {"fused:id", "fused:collection"}}
        assert fused.load(path).collection_name == "default"
    assert six.collection_name == "sums"
