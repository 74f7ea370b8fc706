from __future__ import annotations

import textwrap
from types import CodeType
from typing import Any

import pytest

from fused_jupyter.caching.bytecode import Import, Scan, scan


def code_of(source: str) -> CodeType:
    """The code of the function `f` in a source."""
    space: dict[str, Any] = {}
    exec(compile(textwrap.dedent(source), "<test>", "exec", dont_inherit=True), space)
    code: CodeType = space["f"].__code__
    return code


def scanned(source: str) -> Scan:
    return scan(code_of(source))


@pytest.mark.parametrize(
    "other",
    [
        "def f(a):\n    # why\n\n    return a + 1",
        "\n\n\ndef f(a): return (a   +\n 1)",
        "def f(a: int = 2) -> int:\n    return a + 1",  # these are the function's, not the code's
        "def f(a):\n    return a + (0 + 1)",
    ],
)
def test_layout_and_comments_do_not_count(other: str) -> None:
    """What runs is the same."""
    assert scanned("def f(a):\n    return a + 1").digest == scanned(other).digest


@pytest.mark.parametrize(
    "other",
    [
        "def f(a): return a + 2",
        "def f(a): return a + 1.0",
        "def f(a): return a + True",
        "def f(a): return a + '1'",
        "def f(a): return a - 1",
        "def f(b): return b + 1",
        "def f(*a): return a + 1",
        "def f(*, a): return a + 1",
        "def f(a, /): return a + 1",
        "def f(a): return b + 1",
        "def f(a): return a.b + 1",
        "async def f(a): return a + 1",
        "def f(a):\n    'It matters to whoever reads it.'\n    return a + 1",
    ],
)
def test_what_code_does_counts(other: str) -> None:
    """Down to the type of a constant."""
    assert scanned("def f(a): return a + 1").digest != scanned(other).digest


@pytest.mark.parametrize("body", ["(lambda: {})()", "[{} for _ in a]", "a in {{'x', {}}}", "a == (1, ({}, 2))"])
def test_what_stands_inside_counts(body: str) -> None:
    """Inner functions, comprehensions, sets and tuples of constants."""
    one, other = (scanned(f"def f(a): return {body.format(value)}").digest for value in ("1", "1.0"))

    assert one != other


def test_order_of_a_set_of_constants_does_not_count() -> None:
    """It changes with the seed of hashes."""
    one, other = (scanned(f"def f(a): return a in {{{order}}}").digest for order in ("'a', 'b', 'c'", "'c', 'b', 'a'"))

    assert one == other


def test_global_names_come_with_what_is_taken_from_them() -> None:
    """Also those that inner functions read; a name that stands alone has an empty chain."""
    found = scanned("""
        def f(a):
            inner = lambda: utils.sub.clip(a.b) + LIMIT
            class Local:
                base = parent
            return utils.load(a), [helper(x) for x in a], utils
        """)

    assert found.global_names["utils"] == ((), ("load",), ("sub", "clip"))
    assert {name: found.global_names[name] for name in ("LIMIT", "helper", "parent")} == dict.fromkeys(
        ("LIMIT", "helper", "parent"), ((),)
    )
    assert "a" not in found.global_names


def test_names_of_outer_functions_are_local() -> None:
    """In a closure, or in a function that stands in one."""
    found = scan(
        code_of("""
        def outer(utils):
            def f(): return utils.load() + (lambda: utils.sub.clip())()
            return f
        f = outer(None)
        """)
    )

    assert {("load",), ("sub", "clip")} <= set(found.local_names["utils"])
    assert "utils" not in found.global_names


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("import a", Import(module="a", level=0, names=(), bound="a")),
        ("import a as b", Import(module="a", level=0, names=(), bound="b")),
        ("import a.b", Import(module="a.b", level=0, names=(), bound="a")),
        ("import a.b as c", Import(module="a.b", level=0, names=(), bound=None)),
        ("from a import b, c as d", Import(module="a", level=0, names=("b", "c"), bound=None)),
        ("from . import b", Import(module="", level=1, names=("b",), bound=None)),
        ("from ..a.c import b", Import(module="a.c", level=2, names=("b",), bound=None)),
    ],
)
def test_imports_are_seen_as_they_are_written(statement: str, wanted: Import) -> None:
    """Wherever they stand."""
    assert scanned(f"def f():\n    {statement}").imports == (wanted,)
    assert scanned(f"def f():\n    def g():\n        {statement}").imports == (wanted,)
