from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fused_jupyter.server_ext.handlers import ROUTES, MissingHandler
from fused_jupyter.server_ext.hosted.identity import AbsentHandler

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "official-client.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if "`test_" in line]
DRIVEN = {
    function.name
    for path in (ROOT / "tests" / "official").glob("test_*.py")
    for function in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
}
ADDRESSES = sorted({address for row in ROWS if len(row) == 3 for address in re.findall(r"`(.*?)`", row[1])})


def test_table_names_every_test_of_the_client_and_no_other() -> None:
    """An operation that lost its test, or a test that nobody finds, would be seen here."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert named == DRIVEN


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_of_the_table_is_served(address: str) -> None:
    """By a handler of its own, not by the one that says what is missing."""
    found = next(handler for pattern, handler in ROUTES if re.fullmatch(pattern, f"/fused/server/v1/{address}"))

    assert found not in {MissingHandler, AbsentHandler}
