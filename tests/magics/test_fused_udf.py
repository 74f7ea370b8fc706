from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter
from fused_jupyter.errors import FusedError, NoServerError, UdfDefinitionError, UdfRuntimeError, UnknownUdfError
from fused_jupyter.runtime import current

CELLS = {
    "bare": ("%%fused_udf", "def quakes(n: int = 2):\n    return n + 1"),
    "decorated": ("%%fused_udf", "@fused.udf\ndef quakes(n: int = 2):\n    return n + 1"),
    "named": ("%%fused_udf quakes", "@fused.udf\ndef other(n: int = 2):\n    return n + 1"),
    "named by the decorator": ("%%fused_udf", "@fused.udf(name='quakes')\ndef f(n: int = 2):\n    return n + 1"),
    "with helpers": (
        "%%fused_udf quakes",
        "import math\nONE = 1\ndef plus(n): return int(n) + ONE\n@fused.udf\ndef udf(n: int = 2):\n    return plus(n)",
    ),
    "import fused": ("%%fused_udf", "import fused\n@fused.udf\ndef quakes(n: int = 2):\n    return n + 1"),
    "flags": ("%%fused_udf quakes --cache-max-age 1h --engine local", "def f(n: int = 2): return n + 1"),
}  # fmt: skip


@pytest.mark.parametrize("variant", CELLS)
def test_cell_becomes_a_udf(notebook: Any, variant: str) -> None:
    """Registered under its name, bound to it, shown as a card, and callable."""
    line, cell = CELLS[variant]

    shown = notebook.run(f"{line}\n{cell}")

    assert isinstance(shown, fused_jupyter.Udf)
    assert shown.name == "quakes"
    assert notebook["quakes"] is shown
    assert notebook.run("quakes(n=4)") == 5
    assert notebook.run("fused.run('quakes')") == 3
    assert shown._repr_html_()


def test_decorator_in_an_ordinary_cell_registers_too(notebook: Any) -> None:
    """The function alone is the UDF then."""
    notebook.run("@fused.udf\ndef plain(n: int):\n    return n * 2")

    assert notebook.run("fused.run('plain', n=4)") == 8


def test_second_run_of_a_cell_replaces(notebook: Any) -> None:
    """The name means the new code, in the notebook and in the registry."""
    for n in (1, 2):
        notebook.run(f"%%fused_udf\ndef again(): return {n}")

    assert notebook.run("again(), fused.run('again')") == (2, 2)
    assert len(current().registry.all()) == 1


MISTAKES: list[tuple[str, int | None, str]] = [
    ("%%fused_udf\ndef kept(:\n    pass", 2, "SyntaxError"),
    ("%%fused_udf\n\ndef kept():\n    return (", 4, "never closed"),
    ("%%fused_udf\n@fused.udf\ndef kept(): pass\n@fused.udf\ndef more(): pass", 5, "2 UDFs here"),
    ("%%fused_udf\nx = 1", None, "no function here"),
    ("%%fused_udf\n%matplotlib inline\ndef kept(): pass", 2, "IPython magics"),
    ("%%fused_udf kept-too\ndef kept(): pass", 2, "cannot name a UDF"),
    ("%%fused_udf class\ndef kept(): pass", 2, "cannot name a UDF"),
    ("%%fused_udf\nasync def kept(): pass", 2, "async def"),
    ("%%fused_udf kept --cache-max-age 2w\ndef kept(): pass", None, "--cache-max-age 2w"),
    (
        "%%fused_udf kept --engine moon\ndef kept(): pass",
        None,
        "--engine moon: there is no such engine; there is local",
    ),
    ("%%fused_udf kept --header nowhere.py\ndef kept(): pass", None, "header 'nowhere.py': No such file"),
]


@pytest.mark.parametrize(("cell", "line", "says"), MISTAKES)
def test_cell_with_a_mistake_leaves_the_udf_as_it_was(notebook: Any, cell: str, line: int | None, says: str) -> None:
    """It says what is wrong with which line, counted as the editor counts; requests go on with the old code."""
    notebook.run("%%fused_udf\ndef kept(): return 'kept'")
    before = current().registry.get("kept")

    with pytest.raises(UdfDefinitionError, match=says) as caught:
        notebook.run(cell)

    assert caught.value.line == line
    assert current().registry.all() == (before,)
    assert notebook.run("kept()") == "kept"


def test_error_of_the_udf_names_the_line_of_the_cell(notebook: Any) -> None:
    """The magic's own line counts, as it does in the editor."""
    notebook.run("%%fused_udf\n\ndef fails():\n    return 1 / 0")

    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError") as caught:
        notebook.run("fails()")

    assert (caught.value.line, (caught.value.source_line or "").strip()) == (4, "return 1 / 0")


def test_name_of_the_notebook_is_not_seen_and_said_so(notebook: Any) -> None:
    """The message says how to bring it in."""
    notebook.run("table = [1, 2]")
    notebook.run("%%fused_udf\ndef needs(): return table")

    with pytest.raises(UdfRuntimeError, match="'table' exists in the notebook but not in the UDF"):
        notebook.run("needs()")


def test_run_shows_the_result(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And what it prints, and the card."""
    value = notebook.run("%%fused_udf --run\ndef loud():\n    print('heard')\n    return 7")

    assert value == 7
    printed = capsys.readouterr().out
    assert "heard" in printed
    assert "<Udf loud()>" in printed


def test_map_needs_no_server_to_be_made(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a widget that finds its server in the browser."""
    try:
        notebook.run("%%fused_udf --map\ndef shown(bounds): return None")
    except NoServerError as exc:
        pytest.fail(str(exc))

    assert "FusedMap" in capsys.readouterr().out


def test_age_on_the_line_is_kept(notebook: Any) -> None:
    """0 keeps nothing."""
    assert notebook.run("%%fused_udf --cache-max-age 2m\ndef f(): pass").definition.cache_max_age == 120
    assert notebook.run("%%fused_udf --cache-max-age 0\ndef f(): pass").definition.cache_max_age == 0
    assert notebook.run("%%fused_udf\ndef f(): pass").definition.cache_max_age is None


def test_headers_travel_with_the_udf(notebook: Any, tmp_path: Path) -> None:
    """As many as are named; an edited file is another version when the cell is run again."""
    cell = "%%fused_udf --header one.py --header two.py\ndef f():\n    import one, two\n    return one.X + two.Y"
    (tmp_path / "one.py").write_text("X = 1")
    (tmp_path / "two.py").write_text("from one import X\nY = X + 1")

    first = notebook.run(cell)
    assert first() == 3
    (tmp_path / "one.py").write_text("X = 10")
    second = notebook.run(cell)

    assert second() == 21
    assert first.digest != second.digest


def test_relative_paths_are_those_of_the_notebook(notebook: Any, tmp_path: Path) -> None:
    """Where it was when the cell ran."""
    (tmp_path / "data.txt").write_text("here")

    assert (
        notebook.run("%%fused_udf --run\nfrom pathlib import Path\ndef read(): return Path('data.txt').read_text()")
        == "here"
    )


def test_unknown_flag_prints_the_usage(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """And registers nothing."""
    notebook.shell.run_cell("%%fused_udf --nonsense\ndef f(): pass", store_history=False)

    assert "unrecognized arguments: --nonsense" in "".join(capsys.readouterr())
    assert current().registry.all() == ()


def test_errors_are_shown_without_our_frames(notebook: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What IPython prints is the UDF's own traceback and the message."""
    notebook.run("%%fused_udf\ndef fails():\n    return 1 / 0")
    notebook.shell.run_cell("fails()", store_history=False)

    shown = "".join(capsys.readouterr())
    assert "ZeroDivisionError: division by zero" in shown
    assert "fused_jupyter/" not in shown


# -- listing, doctor


def test_listing_shows_every_udf(notebook: Any) -> None:
    """With its parameters and version; escaped."""
    assert "no UDF is registered" in repr(notebook.run("%fused_udfs"))
    notebook.run("%%fused_udf\ndef first(a: str = '<b>'):\n    '''Does <i>this</i>.'''")
    second = notebook.run("%%fused_udf\ndef second(): pass")

    listing = notebook.run("%fused_udfs")

    assert len(listing) == 2
    assert f"second()  [{second.digest[:8]}]" in repr(listing)
    html = listing._repr_html_()
    assert "first(a: str = " in html
    assert "Does &lt;i&gt;this&lt;/i&gt;." in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_doctor_names_the_hop_that_fails(notebook: Any) -> None:
    """Here there is no server; what comes before works, what comes after is not tried."""
    doctor = notebook.run("%fused_doctor")

    assert [(hop.name, hop.is_well) for hop in doctor.hops] == [
        ("kernel", True), ("host", True), ("workers", True), ("server", False),
    ]  # fmt: skip
    assert "the way breaks at: server" in repr(doctor)
    assert "not started by a Jupyter server" in doctor.failing.says
    assert "the way breaks at: server" in doctor._repr_html_()
    with pytest.raises(UnknownUdfError):
        current().registry.get("fused_doctor_probe")


def test_card_is_small_and_escaped(notebook: Any) -> None:
    """In every notebook that is saved."""
    shown = notebook.run(
        "%%fused_udf\ndef card(text: str = '<script>alert(1)</script>'):\n    '''A <b>bold</b> one.'''"
    )

    html = shown._repr_html_()
    assert len(html.encode()) < 3000
    assert "<script" not in html
    assert "<b>" not in html


def test_whatever_is_raised_is_ours(notebook: Any) -> None:
    """Every error of a cell is in the one tree."""
    raisers: list[Callable[[], Any]] = [lambda cell=cell: notebook.run(cell) for cell, _, _ in MISTAKES]

    for raiser in raisers:
        with pytest.raises(FusedError):
            raiser()
