from __future__ import annotations

from pathlib import Path

import pytest

from fused_jupyter.server_ext.app import FusedExtension

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
OWN = [name for name, trait in FusedExtension.class_own_traits(config=True).items()]


@pytest.mark.parametrize("name", OWN)
def test_every_setting_of_the_server_is_documented(name: str) -> None:
    """With the default that it has."""
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `FusedExtension.{name}` "))

    default = FusedExtension.class_traits()[name].default()
    wanted = "that of the server" if name == "python" else f"`{default!r}`".replace("'", '"')
    assert row.split("|")[2].strip() == wanted


def test_no_setting_is_documented_that_is_not_there() -> None:
    """The page may be older than the code."""
    assert PAGE.count("| `FusedExtension.") == len(OWN)
