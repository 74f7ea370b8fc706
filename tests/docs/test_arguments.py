from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.engines.arguments import ALL_COERCERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "arguments.md"
CODE = " ".join(re.findall(r"`([^`]+)`", PAGE.read_text(encoding="utf-8")))
NAMES = set(re.findall(r"\w+", CODE))

OTHERWISE = {
    ".model_validate": "pydantic model",
    ".__dataclass_fields__": "dataclass",
    "._fields": "NamedTuple",
    ".__required_keys__": "TypedDict",
    "numpy.bool_": "bool",
}
"""Families that the page calls by another name."""


@pytest.mark.parametrize("key", [key for key in ALL_COERCERS if key not in OTHERWISE], ids=str)
def test_every_type_stands_in_the_documentation(key: Any) -> None:
    """A new entry of the table is documented, by the last part of its name."""
    name = key.rpartition(".")[2] if isinstance(key, str) else getattr(key, "__name__", str(key).rpartition(".")[2])

    assert name in NAMES or f"fused.types.{name}" in (PAGE.parent / "types.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", OTHERWISE.values())
def test_every_family_stands_there_too(words: str) -> None:
    """By what everybody calls it."""
    assert words in PAGE.read_text(encoding="utf-8")
