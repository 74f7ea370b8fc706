from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fused_jupyter.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Notebook

CELL = "%%fused_udf\nimport os\n@fused.udf\ndef seen(name: str):\n    return os.environ.get(name)"


@pytest.fixture
def cells(notebook: Notebook) -> Iterator[Notebook]:
    """A notebook with a UDF that reads a variable; nothing is chosen before and after."""
    notebook.run(CELL)
    yield notebook
    runtime = notebook.shell.magics_manager.registry["FusedMagics"]._runtime
    runtime.choose_environment(dict.fromkeys(runtime.environment))


def test_variable_is_there_at_the_next_run(cells: Notebook) -> None:
    """And gone when it is dropped; the host is not started again."""
    before = cells.run("seen('CHOSEN')")
    cells.run("%fused_env CHOSEN=one OTHER='a b=c' EMPTY=")
    seen = [cells.run(f"seen('{name}')") for name in ("CHOSEN", "OTHER", "EMPTY")]
    cells.run("%fused_env CHOSEN=two --drop OTHER")

    assert before is None
    assert seen == ["one", "a b=c", ""]
    assert [cells.run(f"seen('{name}')") for name in ("CHOSEN", "OTHER", "EMPTY")] == ["two", None, ""]


def test_name_alone_takes_the_value_of_the_kernel(cells: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is at that moment: a key that somebody typed stands in no cell."""
    monkeypatch.setenv("OF_THE_KERNEL", "now")
    cells.run("%fused_env OF_THE_KERNEL")
    monkeypatch.setenv("OF_THE_KERNEL", "later")

    assert cells.run("seen('OF_THE_KERNEL')") == "now"


def test_listing_has_names_and_no_values(cells: Notebook) -> None:
    """A notebook with its output is passed on."""
    empty = cells.run("%fused_env")
    said = cells.run("%fused_env B=hidden A=hidden")
    listed = cells.run("%fused_env")

    assert "no variable is chosen" in repr(empty)
    assert "no variable is chosen" in empty._repr_html_()
    assert said is None
    assert listed.names == ("A", "B")
    assert "hidden" not in repr(listed) + listed._repr_html_()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("NOT_THERE_AT_ALL", "the kernel has no variable NOT_THERE_AT_ALL; %fused_env NOT_THERE_AT_ALL=value"),
        ("JUPYTER_TOKEN=abc", "JUPYTER_TOKEN is a secret of the server"),
        ("=x", "no name of a variable"),
    ],
)
def test_mistakes_are_told_and_change_nothing(cells: Notebook, line: str, says: str) -> None:
    """The message says what to do."""
    cells.run("%fused_env FINE=1")

    with pytest.raises(ArgumentError) as caught:
        cells.run(f"%fused_env FINE=2 {line}")

    assert says in caught.value.message
    assert cells.run("seen('FINE')") == "1"


def test_function_does_the_same(cells: Notebook) -> None:
    """For scripts, and for values that are computed; a UDF has `os.environ`."""
    cells.run("fused.set_env(CHOSEN='one', OTHER='two')")
    first = [cells.run(f"seen('{name}')") for name in ("CHOSEN", "OTHER")]
    cells.run("fused.set_env(OTHER=None)")

    assert first == ["one", "two"]
    assert [cells.run(f"seen('{name}')") for name in ("CHOSEN", "OTHER")] == ["one", None]
