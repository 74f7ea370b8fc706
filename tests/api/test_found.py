"""UDFs from GitHub and by the names of public code, as `fused.load` and `fused.run` give them; in workers, too."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_repository import CODE, SmallRepository, folder, meta

import fused_jupyter as fused
from fused_jupyter.errors import CloudOnlyError, UdfNotFoundError, UdfRuntimeError, UnknownTokenError, UnknownUdfError
from fused_jupyter.udfs import SIBLINGS

URL = "https://github.com/me/udfs/tree/main"
SIBLING = '@fused.udf\ndef udf(name: str = "other"):\n    return fused.load(name)(n=10)\n'
LIBRARY = """
K = 5
def times(n):
    from utils import two
    return two(n) * K
@fused.udf
def udf(n: int = 1):
    return times(n)
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clone, a catalogue, and no network; the settings reach workers as a notebook sets them."""
    monkeypatch.chdir(tmp_path)
    settings = ("GIT_MIRRORS", "GITHUB_URL", "CATALOGUES", "NEVER_IMPORT")
    for name in settings:  # so that they are put back
        monkeypatch.setenv(f"FUSED_{name}", os.environ.get(f"FUSED_{name}", ""))
        monkeypatch.delenv(f"FUSED_{name}")
    repository = SmallRepository(tmp_path / "clone")
    repository.commit(
        {
            "public/library/library.py": LIBRARY,
            "public/library/meta.json": meta("library", headers={"utils": "utils.py"}),
            "public/library/utils.py": "def two(n):\n    return 2 * n\n",
            "public/canvas/asks/meta.json": meta("asks", code=SIBLING),
            "public/canvas/other/meta.json": meta("other", code=CODE.format(base=3)),
            "public/canvas/collection.json": "{}",
            "people/ann/hers/meta.json": meta(
                "hers", code=CODE.format(base=6), **{"fused:userCreatedShareToken": "fsh_hers"}
            ),
        }
    )
    fused.options.github_url = ""
    fused.options.git_mirrors = {"me/udfs": repository.path}
    fused.options.catalogues = [f"{URL}/public", f"{URL}/people"]
    yield
    fused.set_env(**{f"FUSED_{name}": None for name in settings})


def test_library_of_github_is_used_as_a_module_and_as_a_udf() -> None:
    """Its functions find their header module; here and in a worker."""
    library = fused.load(f"{URL}/public/library/")
    assert (library.K, library.times(3), library.utils.two(4), library(n=3)) == (5, 30, 8, 30)

    user = fused.load(f"""
lib = fused.load("{URL}/public/library")
@fused.udf
def user(n: int = 1):
    return lib.K, lib.times(n), lib.utils.two(n), lib(n=n), fused.core.import_from_github("{URL}/public/library").K
""")
    assert user(n=3) == (5, 30, 6, 30, 5)


def test_file_of_github_is_the_udf_that_it_belongs_to() -> None:
    """With its header modules, which `meta.json` beside it names."""
    assert fused.load(f"{URL.replace('/tree/', '/blob/')}/public/library/library.py")(n=1) == 10
    assert fused.run(f"{URL}/public/library", n=1) == 10


def test_code_stays_unrun_where_the_options_say_so() -> None:
    """For all that is loaded from then on, also in workers."""
    fused.options.never_import = True

    with pytest.raises(AttributeError, match="never_import is set"):
        _ = fused.load(f"{URL}/public/library").K
    inside = fused.load(f"def f():\n    return hasattr(fused.load('{URL}/public/library'), 'K')\n")
    assert inside() is False
    fused.options.never_import = False
    assert inside() is True


def test_names_are_first_those_beside_the_udf(tmp_path: Path) -> None:
    """In a folder with `collection.json`, in one of several UDFs, in a repository, and in zips of none."""
    canvas = tmp_path / "canvas"
    for name, code in (("asks", SIBLING), ("other", CODE.format(base=1))):
        folder(canvas, name, code)
    fused.load("@fused.udf\ndef other(n: int = 1):\n    return 'of the notebook'\n").register()

    assert fused.load(canvas / "asks")() == 11
    assert fused.load(f"{URL}/public/canvas/asks")() == 13
    fused.load(canvas / "asks").to_file("asks.zip")
    with pytest.raises(UnknownUdfError, match="a UDF cannot run 'other' by its name"):
        fused.load("asks.zip")()
    (tmp_path / "alone").mkdir()
    (canvas / "asks").rename(tmp_path / "alone" / "asks")
    assert SIBLINGS not in fused.load(tmp_path / "alone" / "asks").metadata


def test_sibling_is_found_by_the_name_it_says(tmp_path: Path) -> None:
    """A canvas may have it in a folder that is called another way."""
    folder(tmp_path, "asks", SIBLING)
    (folder(tmp_path, "other_2", CODE.format(base=2)) / "meta.json").write_text(meta("other", code=CODE.format(base=4)))

    assert fused.load("asks")() == 14


def test_result_of_a_caller_is_new_when_a_sibling_changes(tmp_path: Path) -> None:
    """It is kept only as long as all that it was made of."""
    folder(tmp_path, "asks", SIBLING)
    other = folder(tmp_path, "other", CODE.format(base=1))
    asks = fused.load("asks")
    assert asks(cache_max_age="1h") == asks(cache_max_age="1h") == 11

    (other / "other.py").write_text(CODE.format(base=2000))

    assert asks(cache_max_age="1h") == 2010


def test_catalogue_has_public_names() -> None:
    """`UDF_<Name>`, at any depth; somebody's by their account; a missing one says where it was looked for."""
    assert fused.run("UDF_library", n=1) == 10
    assert fused.load("UDF_hers")(n=1) == 7
    assert fused.load("ann@example.com/hers")(n=1) == 7
    assert fused.utils.library.two(4) == fused.utils.library.times(4) // 5 == 8
    with pytest.raises(UnknownUdfError, match=r"no catalogue has a UDF 'nothing' \(fused.options.catalogues: https"):
        fused.run("UDF_nothing")
    with pytest.raises(UdfNotFoundError, match="a UDF of another account cannot be loaded"):
        fused.load("bob@example.com/hers")


def test_folder_of_this_machine_is_a_catalogue(tmp_path: Path) -> None:
    """Searched at any depth."""
    folder(tmp_path / "shelf" / "ann", "own", CODE.format(base=8), **{"fused:sharedToken": "fsh_own"})
    fused.options.catalogues = [tmp_path / "shelf"]

    assert fused.run("UDF_own", n=1) == fused.run("ann/own", n=1) == fused.run("fsh_own", n=1) == 9


def test_token_of_somebody_else_means_the_udf_that_says_it(tmp_path: Path) -> None:
    """By its metadata, or by the file that says so; also in a worker."""
    assert fused.run("fsh_hers", n=1) == 7
    assert fused.load("def f():\n    return fused.run('fsh_hers', n=1)\n")() == 7
    with pytest.raises(UnknownTokenError, match="say so in shared_udfs.json"):
        fused.run("fsh_nobody")

    folder(tmp_path, "mine", CODE.format(base=9))
    said = {"fsh_one": "mine", "fsh_two": f"{URL}/public/library", "fsh_three": "UDF_library", "fc_all": str(tmp_path)}
    (tmp_path / "shared.json").write_text(json.dumps(said))
    fused.options.shared_udfs = str(tmp_path / "shared.json")
    try:
        tokens = ("fsh_one", "fsh_two", "fsh_three", "fc_all/mine")
        assert [fused.run(token, n=1) for token in tokens] == [10, 10, 10, 10]
    finally:
        fused.set_env(FUSED_SHARED_UDFS=None)
        os.environ.pop("FUSED_SHARED_UDFS")


def test_second_udf_of_a_file_is_for_the_first() -> None:
    """Called, mapped and submitted; constants beside it are the file's own."""
    code = """
        STEP = 2

        @fused.udf
        def udf(n: int = 3):
            submitted = fused.submit(nail, [5], collect=True)
            return nail.map(range(n)).df().result.tolist(), submitted.result.tolist(), nail(7)

        @fused.udf
        def nail(k: int = 0):
            return k + 1
    """
    assert fused.load(textwrap.dedent(code))() == ([1, 2, 3], [6], 8)


def test_keyword_only_parameters_and_those_of_the_cloud() -> None:
    """Which public UDFs have; the cloud's functions say what to do where they are called."""
    udf = fused.load(
        "def f(path: str, *, bounds: fused.types.Bounds = None, n: int = 1):\n    return path, n, bounds\n"
    )
    assert udf(path="a", n=2, x=0, y=0, z=0)[:2] == ("a", 2)
    assert fused.run(udf, path="a", x=1, y=2, z=1)[2][3] == pytest.approx(-85.0511, abs=1e-3)
    with pytest.raises((CloudOnlyError, UdfRuntimeError), match="done by Fused's cloud only; DuckDB"):
        fused.load("def f():\n    return fused.h3.query('a')\n")()
