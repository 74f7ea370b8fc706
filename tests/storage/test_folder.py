from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fused_jupyter.errors import ArgumentError, FusedError, UdfExistsError
from fused_jupyter.storage import Folder, definition_of, write_folder
from fused_jupyter.udfs import HeaderModule, UdfDefinition

Define = Callable[..., UdfDefinition]


@pytest.fixture
def udf(definition: Define) -> UdfDefinition:
    """It has two header modules."""
    modules = (HeaderModule(module_name="utils", source="X = 1"), HeaderModule(module_name="more", source="Y = 1"))
    return definition("def old():\n    '''Once.'''", headers=modules)


@pytest.fixture
def newer(definition: Define) -> UdfDefinition:
    """It has another name, one header module less and one in another version."""
    modules = (HeaderModule(module_name="utils", source="X = 2"),)
    return definition("def new():\n    '''Twice.'''", headers=modules)


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_folders_above_are_made(udf: UdfDefinition, tmp_path: Path) -> None:
    """And nothing is left beside it."""
    path = write_folder(udf, tmp_path / "a" / "b" / "c")

    assert path == tmp_path / "a" / "b" / "c"
    assert definition_of(Folder(path)) == udf
    assert [child.name for child in path.parent.iterdir()] == ["c"]


def test_relative_path_starts_from_the_working_directory(
    udf: UdfDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everywhere."""
    monkeypatch.chdir(tmp_path)

    write_folder(udf, Path("saved"))

    assert (tmp_path / "saved" / "meta.json").exists()


def test_empty_folder_is_filled(udf: UdfDefinition, tmp_path: Path) -> None:
    """Nothing is lost by that."""
    write_folder(udf, tmp_path)

    assert sorted(contents(tmp_path)) == ["README.MD", "meta.json", "more.py", "old.py", "utils.py"]


def test_mode_is_that_of_any_new_folder(udf: UdfDefinition, tmp_path: Path) -> None:
    """It is made to be shared."""
    (tmp_path / "other").mkdir()

    path = write_folder(udf, tmp_path / "saved")

    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_is_overwritten_unasked(udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path) -> None:
    """The message says how to ask."""
    path = write_folder(udf, tmp_path / "saved")
    before = contents(path)

    with pytest.raises(FileExistsError, match="is there already; overwrite=True replaces the UDF in it") as caught:
        write_folder(newer, path)

    assert isinstance(caught.value, FusedError)
    assert contents(path) == before


def test_overwriting_replaces_the_udf_and_nothing_else(
    udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path
) -> None:
    """Files of the UDF before go, also those that have another name now; all others stay, and so does the folder."""
    path = write_folder(udf, tmp_path / "saved")
    (path / "data.csv").write_text("a\n1")
    (path / "extra.py").write_text("# mine")
    (path / "tests").mkdir()
    (path / "tests" / "old.py").write_text("# mine")
    inode = path.stat().st_ino

    write_folder(newer, path, overwrite=True)

    assert sorted(contents(path)) == [
        "README.MD", "data.csv", "extra.py", "meta.json", "new.py", "tests/old.py", "utils.py"
    ]  # fmt: skip
    assert definition_of(Folder(path)) == newer
    assert path.stat().st_ino == inode


def test_readme_follows_the_udf_until_somebody_writes_one(
    udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path
) -> None:
    """Then it is theirs."""
    path = write_folder(udf, tmp_path / "saved")
    write_folder(newer, path, overwrite=True)
    assert (path / "README.MD").read_text() == "# new\n\nTwice.\n"

    (path / "README.MD").write_text("# All about it")
    write_folder(udf, path, overwrite=True)
    assert (path / "README.MD").read_text() == "# All about it"


def test_readme_in_another_spelling_is_one(udf: UdfDefinition, tmp_path: Path) -> None:
    """There are not two of them afterwards."""
    path = write_folder(udf, tmp_path / "saved")
    (path / "README.MD").rename(path / "readme.md")

    write_folder(udf, path, overwrite=True)

    assert "README.MD" not in {file.name for file in path.iterdir()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("meta", [None, "{}", "no json", '{"job_config": {"steps": []}}'])
def test_folder_that_is_no_udf_is_left_alone(
    udf: UdfDefinition, tmp_path: Path, meta: str | None, overwrite: bool
) -> None:
    """A home directory is not emptied by a slip."""
    (tmp_path / "thesis.txt").write_text("all my work")
    if meta is not None:
        (tmp_path / "meta.json").write_text(meta)
    before = contents(tmp_path)

    with pytest.raises(UdfExistsError, match="is there, and it is no folder of a UDF.*give the name of a new one"):
        write_folder(udf, tmp_path, overwrite=overwrite)

    assert contents(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_is_no_folder(udf: UdfDefinition, tmp_path: Path, overwrite: bool) -> None:
    """It stays what it is."""
    (tmp_path / "saved").write_text("all my work")

    with pytest.raises(UdfExistsError, match="is a file"):
        write_folder(udf, tmp_path / "saved", overwrite=overwrite)
    for name in ("saved.zip", "saved.py"):
        with pytest.raises(ArgumentError, match="saved as a folder here.*to_file for a zip"):
            write_folder(udf, tmp_path / name)

    assert contents(tmp_path) == {"saved": b"all my work"}


def test_only_python_files_of_the_folder_are_removed(udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path) -> None:
    """Whatever `meta.json` names as a source."""
    path = write_folder(udf, tmp_path / "saved")
    (tmp_path / "mine.py").write_text("# mine")
    (path / "data.csv").write_text("mine")
    for name in ("../mine.py", str(tmp_path / "mine.py"), "data.csv"):
        meta = (path / "meta.json").read_text()
        (path / "meta.json").write_text(meta.replace('"old.py"', f'"{name}"').replace('"new.py"', f'"{name}"'))
        write_folder(newer, path, overwrite=True)

    assert (tmp_path / "mine.py").exists()
    assert (path / "data.csv").exists()


def test_link_to_a_folder_stays_a_link(udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path) -> None:
    """And a link in it is replaced, not followed."""
    real = write_folder(udf, tmp_path / "real")
    (tmp_path / "shared.py").write_text("X = 3")
    (real / "utils.py").unlink()
    (real / "utils.py").symlink_to(tmp_path / "shared.py")
    (tmp_path / "link").symlink_to(real)

    write_folder(newer, tmp_path / "link", overwrite=True)

    assert (tmp_path / "link").is_symlink()
    assert definition_of(Folder(real)) == newer
    assert (tmp_path / "shared.py").read_text() == "X = 3"


@pytest.mark.parametrize("failing", range(1, 5))
def test_what_fails_halfway_leaves_all_as_it_was(
    udf: UdfDefinition, newer: UdfDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Old and new are never mixed, and no temporary file stays."""
    path = write_folder(udf, tmp_path / "saved")
    before = contents(path)
    count = 0
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_folder(newer, path, overwrite=True)

    assert contents(tmp_path) == {f"saved/{name}": content for name, content in before.items()}


def test_what_fails_at_first_leaves_nothing(
    udf: UdfDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no folder that looks like a UDF."""

    def fail(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_folder(udf, tmp_path / "saved")

    assert not list(tmp_path.iterdir())


def test_header_called_like_the_udf_has_another_file(definition: Define, tmp_path: Path) -> None:
    """Also where only the case differs: not every disk tells them apart."""
    modules = tuple(HeaderModule(module_name=name, source=f"# {name}") for name in ("f", "F", "g"))

    path = write_folder(definition("def f(): pass", headers=modules), tmp_path / "saved")

    names = [file.name.casefold() for file in path.glob("*.py")]
    assert sorted(names) == ["f.py", "f_2.py", "f_3.py", "g.py"]
    assert [header.module_name for header in definition_of(Folder(path)).headers] == ["f", "F", "g"]


def test_pipe_is_not_waited_for(udf: UdfDefinition, tmp_path: Path) -> None:
    """A file of a UDF is a file."""
    path = write_folder(udf, tmp_path / "saved")
    (path / "old.py").unlink()
    os.mkfifo(path / "old.py")

    with pytest.raises(FusedError, match="has no file 'old.py'"):
        definition_of(Folder(path))


def test_file_that_is_too_long_is_not_read(udf: UdfDefinition, tmp_path: Path) -> None:
    """It can be no source."""
    path = write_folder(udf, tmp_path / "saved")
    with (path / "old.py").open("r+b") as file:
        file.truncate(60_000_000)  # a hole: it costs no disk

    with pytest.raises(FusedError, match="old.py is 60000000 bytes long; 50000000 are allowed"):
        definition_of(Folder(path))
