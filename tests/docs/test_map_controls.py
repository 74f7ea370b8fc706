"""The page about controls says what is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from fused_jupyter.udfs.controls import Control, as_control, controls_of
from fused_jupyter.udfs.parsing import parse

PAGE = (Path(__file__).parents[2] / "docs" / "maps" / "controls.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def kinds(source: str) -> dict[str, str]:
    return {control.name: control.kind for control in controls_of(parse(source).parameters)}


def test_the_first_example_has_the_controls_of_the_table() -> None:
    """Without a word about controls."""
    source = BLOCKS[0].partition("\n")[2]

    assert kinds(source) == {"min_mag": "slider", "depth": "range", "kind": "dropdown", "since": "date"}


def test_the_signature_of_the_page_says_ranges() -> None:
    """By a tuple and by `fused.Control`."""
    source = next(block for block in BLOCKS if "fused.Control(" in block)
    min_mag, year = controls_of(parse(source).parameters)

    assert (min_mag.min, min_mag.max, min_mag.step) == (0, 10, 0.5)
    assert (year.label, year.min, year.max, year.play) == ("Year", 1990, 2024, {"seconds": 1.0, "loop": True})


def test_the_dict_of_the_page_is_one_of_controls() -> None:
    """Each entry is an abbreviation; None hides."""
    block = next(block for block in BLOCKS if block.startswith("quakes.map(controls={"))
    given = eval(block.replace("quakes.map", "dict"), {"date": date})["controls"]  # our own page

    made = {name: as_control(each, name=name) for name, each in given.items()}

    assert made["min_mag"] == Control(0, 10, 0.5)
    assert made["depth"] is None
    assert made["since"] is not None
    assert made["since"].play
    assert made["since"].options is not None
    assert len(made["since"].options) == 366


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        ("x: int = 50", "slider"),
        ("x: int = 2020", "number"),
        ("x: float | None = None", "number"),
        ("x = [0.1, 0.9]", "range"),
        ("x: list[Literal['a']] = ['a']", "choices"),
        ("x: bool = True", "checkbox"),
        ("x: datetime.date = None", "date"),
        ("x: str = 'mag'", "text"),
        ("x: list[str] = ['a', 'b', 'c']", "text"),
    ],
)
def test_rows_of_the_table_are_true(parameter: str, kind: str) -> None:
    """One example of each."""
    assert kinds(f"@fused.udf\ndef f({parameter}): pass") == {"x": kind}
