from __future__ import annotations

import ast
import asyncio
import importlib.util
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.engines.places import with_places

MODULES = ("json.decoder", "textwrap", "dataclasses", "enum", "asyncio.tasks", "contextlib", "tarfile", "typing", "ast")


def namespace(source: str, *, with_them: bool) -> dict[str, Any]:
    tree = ast.parse(textwrap.dedent(source))
    found: dict[str, Any] = {"__name__": "builtins"}
    exec(compile(with_places(tree) if with_them else tree, "<here>", "exec", dont_inherit=True), found)
    return found


def lines(code: types.CodeType) -> Iterator[tuple[str, int]]:
    yield from ((code.co_qualname, line) for _, _, line in code.co_lines() if line)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from lines(constant)


@pytest.mark.parametrize("name", MODULES)
def test_lines_of_code_stay(name: str) -> None:
    """Whatever is written in it, it compiles, and no line is added or lost: tracebacks are those of the source."""
    path = importlib.util.find_spec(name).origin  # type: ignore[union-attr]
    source = Path(path or "").read_text()
    plain, spaced = ast.parse(source), with_places(ast.parse(source))

    assert ast.dump(spaced) != ast.dump(plain)
    assert set(lines(compile(spaced, name, "exec"))) >= set(lines(compile(plain, name, "exec")))
    assert {line for _, line in lines(compile(spaced, name, "exec"))} <= set(range(source.count("\n") + 2))


SOURCE = '''
    """The module's text."""
    from __future__ import annotations
    import dataclasses, enum

    def function(n):
        """The function's text."""
        global seen
        seen = n
        if n + 1:
            return n + 1
        elif n:
            pass
        else:
            raise ValueError

    def generator(n):
        while n:
            n -= 1
            if n == 2:
                continue
            yield n
        else:
            return (yield "end")

    async def waits(n):
        async for each in agenerator(n):
            async with context(each) as value:
                return value * 2

    async def agenerator(n):
        yield n

    class context:
        def __init__(self, value): self.value = value
        async def __aenter__(self): return self.value
        async def __aexit__(self, *_): return None

    class Colour(enum.Enum):
        """The class's text."""
        RED = 1
        BLUE = 2

    @dataclasses.dataclass
    class Point:
        x: int
        y: int = 2
        def __private(self): return locals()
        def names(self): return sorted(self.__private())

    def tries(n):
        try:
            try:
                return 1 / n
            except ZeroDivisionError as exc:
                match n:
                    case 0: return str(exc)
            else:
                return 5
            finally:
                done.append(n)
        finally:
            done.append(-n)

    done = []
    results = [
        function(1), seen, list(generator(5)), Colour(2).name, len(Colour), Point(1), Point(1).names(), tries(0),
        tries(2), done, function.__doc__, __doc__, Colour.__doc__, function.__annotations__,
    ]
'''


def test_program_does_the_same() -> None:
    """Every kind of statement; texts stay texts, and classes get no new names."""
    plain, spaced = (namespace(SOURCE, with_them=with_them) for with_them in (False, True))

    assert repr(spaced["results"]) == repr(plain["results"])
    assert asyncio.run(spaced["waits"](3)) == 6
    assert spaced.keys() == plain.keys()
    assert vars(spaced["Point"]).keys() == vars(plain["Point"]).keys()


@pytest.mark.parametrize("line", ["import numba", "from numba import njit", "import numpy, numba.core as n"])
def test_code_for_numba_stays_as_it_is(line: str) -> None:
    """It would not understand the places."""
    tree = ast.parse(f"def f():\n    {line}\n    a = 1\n    return a")
    before = ast.dump(tree)

    assert ast.dump(with_places(tree)) == before
