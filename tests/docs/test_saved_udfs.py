from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.storage import Library
from fused_jupyter.udfs import UdfDefinition

TEXT = (Path(__file__).parents[2] / "docs" / "saved-udfs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.+?)```", TEXT, re.DOTALL)


@pytest.fixture
def library(tmp_path: Path, definition: Callable[..., UdfDefinition]) -> Library:
    """With two versions of one UDF."""
    library = Library(tmp_path)
    for n in (1, 2):
        library.save(definition(f"def quakes(n: int = {n}):\n    return n"), overwrite=True)
    return library


def test_versions_are_shown_and_restored_as_written(
    library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another directory."""
    code = BLOCKS[1].replace("~/.local/share/fused_jupyter", str(tmp_path))
    names: dict[str, Any] = {}

    exec(compile(code, "saved-udfs.md", "exec"), names)

    shown = [line.split(maxsplit=2)[::2] for line in capsys.readouterr().out.splitlines()]
    assert shown == [["1", "quakes(n: int = 1)"], ["2", "quakes(n: int = 2)"]]
    newest = library.find("quakes")
    assert (newest.version, newest.definition.signature) == (3, "quakes(n: int = 1)")


def test_copy_of_the_file_is_a_backup(library: Library, tmp_path: Path) -> None:
    """By copying it, or as SQLite does it; and the tokens of its time are in it."""
    secret, token = library.create_token(collection="default")
    copies = [tmp_path / "copied" / "library.sqlite3", tmp_path / "saved" / "library.sqlite3"]
    for copy in copies:
        copy.parent.mkdir()

    shutil.copy(tmp_path / "library.sqlite3", copies[0])
    with sqlite3.connect(tmp_path / "library.sqlite3") as source, sqlite3.connect(copies[1]) as target:
        source.backup(target)
    source.close()
    target.close()
    library.delete_token(token.id)

    for copy in copies:
        other = Library(copy.parent)
        assert other.udfs() == library.udfs()
        assert other.token(secret) == token
