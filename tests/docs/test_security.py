from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fused_jupyter.server_ext.app import FusedExtension

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`test_" in line]


def test_every_promise_has_tests() -> None:
    """Thirteen promises, each with one test at least."""
    assert len(ROWS) == 13


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_the_tests_of_a_promise_are_there(row: str) -> None:
    """A test that was renamed or taken away would leave a promise that nobody looks after."""
    named = re.findall(r"`([\w/]+\.py)`|`(test_\w+)`", row)
    assert named[0][0]
    path = ""
    for file, test in named:
        path = file or path
        if test:
            assert test in _tests_in(TESTS / path), f"{path}: {test}"


@pytest.mark.parametrize("name", ["allow_shares", "share_origins", "share_misses_per_minute"])
def test_settings_of_tokens_are_documented(name: str) -> None:
    """An operator finds them where they look for them."""
    assert f"c.FusedExtension.{name}" in PAGE
    assert name in FusedExtension.class_trait_names()


def _tests_in(path: Path) -> set[str]:
    functions = ast.parse(path.read_text(encoding="utf-8")).body
    return {each.name for each in functions if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))}
