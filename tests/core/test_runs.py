from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, UdfRuntimeError, UnknownTokenError, UnknownUdfError
from fused_jupyter.runtime import shut_down


@pytest.fixture(autouse=True, scope="module")
def _saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A library with one UDF, and a runtime with workers that start fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSED_PRELOAD", "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api")
        patch.setenv("FUSED_WORKERS", "2")
        patch.setenv("FUSED_DATA_DIRECTORY", str(tmp_path_factory.mktemp("data")))
        patch.delenv("JPY_PARENT_PID", raising=False)
        shut_down()

        @fused.udf
        def shout(bounds: fused.types.Bounds | None = None, word: str = "a", engine: str = "", type: str = "") -> str:  # noqa: A002
            if word == "bad":
                raise ValueError(word)
            return f"{word}{engine}{type} {bounds and round(bounds[0])}"

        shout.to_fused()
        yield
        shut_down()


@pytest.fixture(scope="module")
def token() -> str:
    """The secret that opens the saved UDF."""
    return fused.load("shout").create_access_token().token


def test_saved_udf_runs_by_its_owner_and_name() -> None:
    """As a file; without an owner the first is the name."""
    email = str(fused.api.whoami()["email"])

    assert fused.core.run_file(email, "shout", word="b") == "b None"
    assert fused.core.run_file("me", "shout") == "a None"
    assert fused.core.run_file("shout", word="c") == "c None"


def test_saved_udf_runs_for_a_tile() -> None:
    """The tile is the area."""
    assert fused.core.run_tile("me", "shout", x=3, y=1, z=2, word="b") == "b 90"


def test_token_runs_its_udf(token: str) -> None:
    """As a file and for a tile."""
    assert fused.core.run_shared_file(token, word="b") == "b None"
    assert fused.core.run_shared_tile(token, x=3, y=1, z=2) == "a 90"


def test_runs_can_be_awaited(token: str) -> None:
    """All of them, beside each other."""

    async def main() -> list[str]:
        return await asyncio.gather(
            fused.core.run_file_async("me", "shout", word="1"),
            fused.core.run_tile_async("me", "shout", x=3, y=1, z=2),
            fused.core.run_shared_file_async(token, word="3"),
            fused.core.run_shared_tile_async(token, x=3, y=1, z=2),
        )

    assert asyncio.run(main()) == ["1 None", "a 90", "3 None", "a 90"]


def test_arguments_are_never_options_of_the_run() -> None:
    """A UDF may have a parameter that is called like one; what is for the cloud is no argument."""
    run = fused.core.run_file("me", "shout", engine="x", type="y", _dtype_out_vector="parquet", _client_id=None)

    assert run == "axy None"


def test_cache_age_is_an_option() -> None:
    """As in the reference."""
    assert fused.core.run_file("me", "shout", word="kept", cache_max_age="1h") == "kept None"
    with pytest.raises(ArgumentError, match="cache_max_age"):
        fused.core.run_file("me", "shout", cache_max_age="soon")


def test_errors_are_those_of_a_run(token: str) -> None:
    """Of the UDF, of its name, of the token, of a tile in parts."""
    with pytest.raises(UdfRuntimeError, match="bad"):
        fused.core.run_shared_file(token, word="bad")
    with pytest.raises(UnknownUdfError):
        fused.core.run_file("me", "nothing")
    with pytest.raises(UnknownTokenError):
        fused.core.run_shared_file("fsh_" + "x" * 43)
    with pytest.raises(TypeError, match="'z'"):
        fused.core.run_tile("me", "shout", x=1, y=1)  # type: ignore[call-arg]  # what is tested


def test_name_is_no_token(tmp_path: Path) -> None:
    """A slip in a token is not shown, nor looked up as a name."""
    with pytest.raises(ArgumentError, match="token: need one") as caught:
        fused.core.run_shared_file("fsh-secret with a slip")

    assert "slip" not in str(caught.value)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the shortest


def test_loaded_udfs_are_those_of_their_places(token: str, tmp_path: Path) -> None:
    """A name, a token, a text, a file, a folder, an archive."""
    saved = fused.load("shout")
    folder, archive, file = tmp_path / "shout", tmp_path / "shout.zip", tmp_path / "loud.py"
    saved.to_directory(str(folder))
    saved.to_file(str(archive))
    file.write_text(saved.code)

    loaded = [
        fused.core.load_udf_from_fused("shout"),
        fused.core.load_udf_from_fused("me", "shout", collection_name=None),
        asyncio.run(fused.core.load_udf_from_fused_async("me", "shout")),
        fused.core.load_udf_from_shared_token(token),
        fused.core.load_udf_from_code(saved.code),
        fused.core.load_udf_from_code(saved.code, "loud"),
        fused.core.load_udf_from_file(file, import_globals=False),
        fused.core.load_udf_from_directory(folder),
        fused.core.load_udf_from_zip(archive),
    ]

    assert [udf.name for udf in loaded] == ["shout"] * 5 + ["loud", "loud", "shout", "shout"]
    assert {udf(word="b") for udf in loaded} == {"b None"}


def test_path_is_never_a_name(tmp_path: Path) -> None:
    """Nor is a name a token."""
    for load in (fused.core.load_udf_from_file, fused.core.load_udf_from_directory, fused.core.load_udf_from_zip):
        with pytest.raises(FileNotFoundError, match="there is no shout"):
            load("shout")
    with pytest.raises(ArgumentError, match="token: need one"):
        fused.core.load_udf_from_shared_token("shout")


def test_old_names_are_those_of_today() -> None:
    """One function under both."""
    assert fused.core.create_path is fused.core.file_path is fused.file_path
    assert fused.core.download is fused.download
    assert fused.core.cache is fused.cache
    assert all(callable(getattr(fused.core, name)) for name in dir(fused.core))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fused.core.nothing  # type: ignore[attr-defined]  # what is tested
