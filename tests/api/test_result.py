# The functions are UDFs as users write them.
# ruff: noqa: ANN201, ANN202, T201
from __future__ import annotations

import re
import sys
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, UdfRuntimeError, UdfSerializationError, UnknownUdfError, WorkerLostError
from fused_jupyter.runtime import current, shut_down


@fused.udf
def loud(n: int = 2):
    import sys

    print("one")
    print("two", file=sys.stderr)
    print("three")
    return list(range(n))


@fused.udf
def fails(how: str = "raise"):
    import os
    import time

    print("<b>so far</b>")
    held = b"x" * 60_000_000
    time.sleep(0.05)
    if how == "exit":
        os._exit(1)
    if how == "lambda":
        return lambda: held
    raise KeyError(how)


@pytest.fixture(autouse=True)
def _registered() -> None:
    for udf in (loud, fails):
        current().register(udf.definition)


def test_result_has_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """What it printed appears too, as with `fused.run`."""
    result = fused.run_result(loud, n=3)

    assert isinstance(result, fused.RunResult)
    assert (result.data, result.udf.name, result.cached, result.error) == ([0, 1, 2], "loud", False, None)
    assert (result.stdout, result.stderr) == ("one\nthree\n", "two\n")
    assert 0 < result.seconds < 5
    assert result.peak_memory >= 0
    assert capsys.readouterr() == ("one\nthree\n", "two\n")
    result.raise_for_error()
    with pytest.raises(FrozenInstanceError):
        result.data = 1  # type: ignore[misc]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak can be reset on Linux only")
def test_memory_is_that_of_the_run() -> None:
    """At its peak, not what is left."""

    @fused.udf
    def takes(size: int):
        return len(b"x" * size)

    assert fused.run_result(takes, size=150_000_000).peak_memory == pytest.approx(150_000_000, rel=0.1)
    assert fused.run_result(takes, size=1).peak_memory < 15_000_000


@pytest.mark.parametrize(
    ("how", "error", "name", "line", "kind"),
    [
        ("raise", UdfRuntimeError, "KeyError", 13, None),
        ("exit", WorkerLostError, "WorkerLostError", None, None),
        ("lambda", UdfSerializationError, "UdfSerializationError", None, "serialization_error"),
    ],
)
def test_error_of_the_udf_is_in_the_result(
    how: str, error: type[Exception], name: str, line: int | None, kind: str | None
) -> None:
    """With what it printed until then, and what it took."""
    result = fused.run_result(fails, how=how)

    assert isinstance(result.error, error)
    assert (result.data, result.stdout) == (None, "<b>so far</b>\n")
    assert result.seconds >= 0.05
    assert result.peak_memory > 50_000_000 or how == "exit"
    assert (result.has_exception, result.exception_class, result.error_type) == (True, name, kind)
    assert result.error_message == result.error.message
    assert result.error_lineno == line
    with pytest.raises(error):
        result.raise_for_error()


def test_what_is_wrong_with_the_call_is_raised() -> None:
    """What is wrong with an argument shows in the run, so it is in the result."""
    with pytest.raises(UnknownUdfError):
        fused.run_result("nobody")
    with pytest.raises(ArgumentError, match="a tile needs"):
        fused.run_result(loud, x=1)

    assert isinstance(fused.run_result(loud, n="many").error, ArgumentError)


def test_cached_result_has_the_output_and_the_figures_of_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    """From memory, and from disk when the kernel's runtime is another one."""
    first = fused.run_result(loud, n=4, cache_max_age="1h")
    results = [fused.run_result("loud", n=4, cache_max_age="1h")]
    shut_down()
    results.append(fused.run_result(loud, n=4, cache_max_age="1h"))

    for result in results:
        assert result.cached
        assert result.is_cached
        same = ("data", "stdout", "stderr", "seconds", "peak_memory")
        assert [getattr(result, name) for name in same] == [getattr(first, name) for name in same]
    assert first.seconds == first.time_taken_seconds > 0
    assert capsys.readouterr() == ("one\nthree\n" * 3, "two\n" * 3)


def test_official_spelling_gives_the_same() -> None:
    """`_return_response` of Fused's own client."""
    assert fused.run(loud, n=1, _return_response=True).data == [0]


def test_inside_a_udf_results_are_the_same() -> None:
    """C code and children counted; the outer run prints them too, unless they are hidden."""

    @fused.udf
    def outer():
        import fused

        @fused.udf
        def inner(n: int):
            import os
            import subprocess

            print("inner", n)
            os.write(2, b"descriptor\n")
            subprocess.run(["echo", "child"], check=True)
            return 1 / n

        print("before")
        good, bad = fused.run_result(inner, n=1, verbose=False), fused.run_result(inner, n=0)
        print("after")
        return [
            (r.data, r.stdout, r.stderr, type(r.error).__name__, r.error_lineno, r.seconds > 0) for r in (good, bad)
        ]

    result = fused.run_result(outer)

    assert result.data == [
        (1.0, "inner 1\nchild\n", "descriptor\n", "NoneType", None, True),
        (None, "inner 0\nchild\n", "descriptor\n", "UdfRuntimeError", 9, True),
    ]
    assert result.stdout == "before\ninner 0\nchild\nafter\n"
    assert result.stderr == "descriptor\n"


# -- how it looks


class Text(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def result_of(data: Any = None, **fields: Any) -> fused.RunResult:
    return fused.RunResult(udf=loud, data=data, **{"seconds": 0.0123} | fields)


def test_repr_begins_with_what_matters() -> None:
    """Time, memory, where it came from, how much was printed, and the beginning of the value."""
    text = repr(result_of([1, 2], peak_memory=34_000_000, cached=True, stdout="a\nb\n", stderr="c"))

    assert text == "<RunResult of loud · 12 ms · 34 MB of memory · cached · 3 lines printed: [1, 2]>"
    assert repr(result_of(np.eye(2))) == "<RunResult of loud · 12 ms>\narray([[1., 0.],\n       [0., 1.]])"
    assert len(repr(result_of(list(range(10**6))))) < 500
    assert len(repr(result_of(b"x" * 10**6))) < 500
    assert repr(result_of(error=UdfRuntimeError("KeyError: 'a'", line=7))).endswith(
        "· 12 ms: UdfRuntimeError: KeyError: 'a' (line 7)>"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "<script>alert(1)</script>" * 1000},
        {"data": {"<script>": ["&"] * 10**5}},
        {"data": np.zeros((1000, 1000)), "cached": True, "peak_memory": 10**12},
        {"stdout": "<script>x</script>\n" * 10**5, "stderr": "&<" * 10**6},
        {"error": UdfRuntimeError("<script>" * 10**4, line=3), "stdout": "<img src=x>\n" * 10**4},
        {},
    ],
)
def test_page_is_small_and_shows_text_as_text(fields: dict[str, Any]) -> None:
    """Whatever the value, the output and the error are."""
    page = result_of(**fields)._repr_html_()
    seen = Text(page)

    assert len(re.sub(r"&\w+;|&#x?\d+;", "&", page)) < 4000
    assert set(seen.tags) <= {"div", "code", "span", "details", "summary", "pre"}
    assert "loud" in seen.text
    assert "12 ms" in seen.text


def test_page_shows_the_value_as_the_notebook_does() -> None:
    """By its own page, if it has one that works."""

    class Table:
        def _repr_html_(self) -> str:
            return "<table><tr><td>1</td></tr></table>"

    class Broken:
        def _repr_html_(self) -> str:
            raise ValueError

        def __repr__(self) -> str:
            return "<Broken>"

    assert "<table><tr><td>1</td></tr></table>" in result_of(Table())._repr_html_()
    assert "&lt;Broken&gt;" in result_of(Broken())._repr_html_()
    assert "Table" in Text(result_of(Table)._repr_html_()).text


def test_end_of_the_output_is_shown() -> None:
    """It says most of what went wrong."""
    page = Text(result_of(stdout="".join(f"line {n}\n" for n in range(1000)))._repr_html_())

    assert "line 999" in page.text
    assert "line 5\n" not in page.text
    assert "stdout: 1000 lines" in page.text
