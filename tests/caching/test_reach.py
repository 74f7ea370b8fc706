# Functions are written as users write them.
# ruff: noqa: ANN202
from __future__ import annotations

import contextlib
import functools
import linecache
import socket
import sqlite3
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fused_jupyter.caching import contents
from fused_jupyter.caching.contents import UnreadableError
from fused_jupyter.caching.reach import add_function, start_digest
from fused_jupyter.udfs import UdfDefinition


def digest(function: Any) -> str:
    digester = start_digest()
    add_function(digester, function)
    return digester.hexdigest()


def made(source: str, **names: Any) -> Any:
    """The function `f` of a source that no file holds."""
    space = {"__name__": "made", **names}
    exec(compile(textwrap.dedent(source), "<made>", "exec", dont_inherit=True), space)
    return space["f"]


PAIRS = {
    "code": ("def f(): return 1", "def f(): return 2"),
    "helper": ("def g(): return 1\ndef f(): return g()", "def g(): return 2\ndef f(): return g()"),
    "helper's helper": (
        "def h(): return 1\ndef g(): return h()\ndef f(): return g()",
        "def h(): return 2\ndef g(): return h()\ndef f(): return g()",
    ),
    "constant": ("N = 1\ndef f(): return N", "N = 1.0\ndef f(): return N"),
    "list": ("N = [1, 2]\ndef f(): return N", "N = [2, 1]\ndef f(): return N"),
    "missing": ("def f(): return N", "N = None\ndef f(): return N"),
    "own name for a builtin": ("def f(a): return len(a)", "len = sum\ndef f(a): return len(a)"),
    "default": ("def f(a=1): return a", "def f(a=2): return a"),
    "default of a keyword": ("def f(*, a=1): return a", "def f(*, a=2): return a"),
    "annotation": ("def f(a: int): return a", "def f(a: str): return a"),
    "closure": (
        "def o(n):\n  def f(): return n\n  return f\nf = o(1)",
        "def o(n):\n  def f(): return n\n  return f\nf = o(2)",
    ),
    "closure's function": (
        "def o(n):\n  g = lambda: n\n  def f(): return g()\n  return f\nf = o(1)",
        "def o(n):\n  g = lambda: n\n  def f(): return g()\n  return f\nf = o(2)",
    ),
    "method": (
        "class C:\n  def m(self): return 1\ndef f(): return C().m()",
        "class C:\n  def m(self): return 2\ndef f(): return C().m()",
    ),
    "base": (
        "class B:\n  def m(self): return 1\nclass C(B): pass\ndef f(): return C().m()",
        "class B:\n  def m(self): return 2\nclass C(B): pass\ndef f(): return C().m()",
    ),
    "attribute of a class": ("class C: n = 1\ndef f(): return C.n", "class C: n = 2\ndef f(): return C.n"),
    "property": (
        "class C:\n  @property\n  def m(self): return 1\ndef f(): return C().m",
        "class C:\n  @property\n  def m(self): return 2\ndef f(): return C().m",
    ),
    "class method": (
        "class C:\n  @classmethod\n  def m(cls): return 1\ndef f(): return C.m()",
        "class C:\n  @classmethod\n  def m(cls): return 2\ndef f(): return C.m()",
    ),
    "cached property": (
        "import functools\nclass C:\n  @functools.cached_property\n  def m(self): return 1\ndef f(): return C().m",
        "import functools\nclass C:\n  @functools.cached_property\n  def m(self): return 2\ndef f(): return C().m",
    ),
    "instance": (
        "class C:\n  def __init__(self, n): self.n = n\nc = C(1)\ndef f(): return c.n",
        "class C:\n  def __init__(self, n): self.n = n\nc = C(2)\ndef f(): return c.n",
    ),
    "whose attribute it is": (
        "class C:\n  class D: n = 1\n  z = 1\ndef f(): return C",
        "class C:\n  class D: n, z = 1, 1\ndef f(): return C",
    ),
    "data class": (
        "from dataclasses import dataclass\n@dataclass\nclass C: n: int = 1\ndef f(): return C()",
        "from dataclasses import dataclass\n@dataclass\nclass C: n: int = 2\ndef f(): return C()",
    ),
    "enum": (
        "import enum\nclass E(enum.Enum): A = 1\ndef f(): return E.A.value",
        "import enum\nclass E(enum.Enum): A = 2\ndef f(): return E.A.value",
    ),
    "decorated by a library": (
        "import functools\n@functools.lru_cache\ndef g(): return 1\ndef f(): return g()",
        "import functools\n@functools.lru_cache\ndef g(): return 2\ndef f(): return g()",
    ),
    "wrapped by a library": (
        "import contextlib\n@contextlib.contextmanager\ndef g(): yield 1\ndef f():\n  with g() as n: return n",
        "import contextlib\n@contextlib.contextmanager\ndef g(): yield 2\ndef f():\n  with g() as n: return n",
    ),
    "decorator": (
        "def d(g): return lambda: g() + 1\n@d\ndef f(): return 1",
        "def d(g): return lambda: g() + 2\n@d\ndef f(): return 1",
    ),
    "partial": (
        "import functools\ndef g(a, b): return a\nh = functools.partial(g, 1)\ndef f(): return h(0)",
        "import functools\ndef g(a, b): return a\nh = functools.partial(g, 2)\ndef f(): return h(0)",
    ),
    "bound method": (
        "class C:\n  n = 1\n  def m(self): return self.n\nm = C().m\ndef f(): return m()",
        "class C:\n  n = 2\n  def m(self): return self.n\nm = C().m\ndef f(): return m()",
    ),
    "read by an inner function": (
        "N = 1\ndef f(): return [N for _ in range(3)]",
        "N = 2\ndef f(): return [N for _ in range(3)]",
    ),
    "of a table": (
        "def g(): return 1\nT = {'a': [g]}\ndef f(): return T",
        "def g(): return 2\nT = {'a': [g]}\ndef f(): return T",
    ),
    "installed": ("from math import sin as g\ndef f(): return g(1)", "from math import cos as g\ndef f(): return g(1)"),
    "installed module": ("import json as m\ndef f(): return m.loads", "import pickle as m\ndef f(): return m.loads"),
    "imported inside": (
        "def f():\n  import json as m\n  return m.loads",
        "def f():\n  import pickle as m\n  return m.loads",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_all_that_a_function_reaches_counts(one: str, other: str) -> None:
    """And only that: made anew, it is the same."""
    assert digest(made(one)) == digest(made(one))
    assert digest(made(one)) != digest(made(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(): return 1", "x = 1\ndef g(): return 2\ndef f(): return 1"),
        ("def f(): return 1", "# why\n\n\ndef f():\n  return 1  # because"),
        ("def f(): return g()\ndef g(): return 1", "def g(): return 1\ndef f(): return g()"),
    ],
)
def test_what_it_does_not_reach_does_not_count(one: str, other: str) -> None:
    """Neighbours, comments, order of definitions."""
    assert digest(made(one)) == digest(made(other))


def test_functions_without_source_differ() -> None:
    """Two of a REPL, in whose place nobody finds a text."""
    one, other = made("def f(a): return a + 1"), made("def f(a): return a + 2")
    linecache.cache.pop("<made>", None)

    assert digest(one) != digest(other)


def test_text_that_changed_under_a_loaded_function_does_not_count(tmp_path: Path) -> None:
    """What runs is what was loaded; else the old value would be found under the new text."""
    path = tmp_path / "loaded_before.py"
    path.write_text("def f(): return 1")
    space: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), space)
    before = digest(space["f"])

    path.write_text("def f(): return 2")
    linecache.checkcache()

    assert digest(space["f"]) == before


def test_circles_have_an_end() -> None:
    """Functions that call each other, a class that names itself, a function in its own default."""
    even = "def g(n): return n == 0 or f(n - 1)\ndef f(n): return n != 0 and g(n - 1)"
    odd = even.replace("n != 0", "n == 1")

    assert digest(made(even)) == digest(made(even))
    assert digest(made(even)) != digest(made(odd))
    assert digest(made("class C:\n  def m(self): return C\ndef f(): return C"))


def test_new_global_is_seen_at_once() -> None:
    """A notebook runs its cells again, in any order."""
    function = made("def g(): return N\ndef f(): return g()", N=1)
    before = digest(function)

    function.__globals__["N"] = 2
    between = digest(function)
    function.__globals__["g"] = made("def f(): return 3")

    assert len({before, between, digest(function)}) == 3


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the module `own_helpers` that a notebook has beside it, to be imported anew."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> None:
        (tmp_path / "own_helpers.py").write_text(textwrap.dedent(source))
        sys.modules.pop("own_helpers", None)
        sys.path_importer_cache.clear()
        import importlib

        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        importlib.import_module("own_helpers")
        sys.dont_write_bytecode = before
        sys.modules.pop("own_helpers")

    yield write
    sys.modules.pop("own_helpers", None)


WAYS = {
    "by name": "from own_helpers import used\ndef f(): return used()",
    "through the module": "import own_helpers\ndef f(): return own_helpers.used()",
    "through another name": "import own_helpers as h\ndef f(): return [h.used() for _ in 'ab']",
    "inside, by name": "def f():\n  from own_helpers import used\n  return used()",
    "inside, through the module": "def f():\n  import own_helpers\n  return own_helpers.used()",
    "inside, for an inner function": "def f():\n  import own_helpers as h\n  return (lambda: h.used())()",
    "from a closure": "def o():\n  import own_helpers as h\n  def f(): return h.used()\n  return f\nf = o()",
}
BY_TEXT = "import own_helpers\ndef f(): return getattr(own_helpers, 'us' + 'ed')()"


@pytest.mark.parametrize("source", WAYS.values(), ids=WAYS)
def test_module_of_ones_own_counts_by_what_is_taken_from_it(module: Callable[[str], None], source: str) -> None:
    """By what that reaches in turn, and by nothing else of it."""
    digests = []
    for text in (
        "K = 1\ndef used(): return K\ndef other(): return 1",
        "K = 2\ndef used(): return K\ndef other(): return 1",
        "K = 1\ndef used(): return K\ndef other(): return 2",
    ):
        module(text)
        digests.append(digest(made(source)))
        sys.modules.pop("own_helpers", None)

    assert digests[0] == digests[2]
    assert digests[0] != digests[1]


def test_module_that_is_handed_on_counts_as_a_whole(module: Callable[[str], None]) -> None:
    """Nobody knows what is taken from it."""
    module("def used(): return 1")
    before = digest(made(BY_TEXT))
    sys.modules.pop("own_helpers", None)

    module("def used(): return 2")

    assert digest(made(BY_TEXT)) != before


def test_first_call_changes_no_key(module: Callable[[str], None]) -> None:
    """What the function imports counts the same before and after."""
    module("def used(): return 1")
    function = made(WAYS["inside, through the module"])
    assert "own_helpers" not in sys.modules

    before = digest(function)
    function()

    assert digest(function) == before


def test_import_that_fails_is_the_functions_business() -> None:
    """It may have another way."""
    source = "def f():\n  try:\n    import {0}\n  except ImportError:\n    return 1"

    assert digest(made(source.format("there_is_no_such_module")))
    with pytest.raises(ImportError):
        made("def f(): import there_is_no_such_module")()


class Connections:
    """What cannot be read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()


@pytest.mark.parametrize("make", [lambda: sqlite3.connect(":memory:"), threading.Lock, socket.socket])
def test_connection_that_code_reaches_counts_by_its_class(make: Any) -> None:
    """Another one of its class is the same; what stands beside it is not lost."""
    with contextlib.closing(make()) if make is not threading.Lock else contextlib.nullcontext(make()) as one:
        source = "def f(): return c, N"

        assert digest(made(source, c=one, N=1)) == digest(made(source, c=one, N=1))
        assert digest(made(source, c=one, N=1)) != digest(made(source, c=one, N=2))
        assert digest(made(source, c=one, N=1)) != digest(made(source, c=None, N=1))


def test_instance_with_a_lock_counts_by_the_rest() -> None:
    """One attribute that cannot be read hides no other."""
    assert digest(made("def f(): return c", c=Connections(1))) != digest(made("def f(): return c", c=Connections(2)))


def test_udf_that_is_called_counts_by_its_digest(definition: Callable[..., UdfDefinition]) -> None:
    """With its helpers and header modules, which are all in it."""
    from fused_jupyter import Udf

    one, same, other = (Udf(definition(f"def g(): return {n}")) for n in (1, 1, 2))
    source = "def f(): return g()"

    assert digest(made(source, g=one)) == digest(made(source, g=same))
    assert digest(made(source, g=one)) != digest(made(source, g=other))


def test_package_counts_by_when_it_was_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by its code, of which there may be very much."""
    from fused_jupyter.caching import reach

    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    digests = []
    for version in ("n = 1", "n = 1  # a new release"):
        (folder / "some_package.py").write_text(version)
        monkeypatch.delitem(sys.modules, "some_package", raising=False)
        reach._stamp.cache_clear()
        digests.append(digest(made("def f():\n  import some_package\n  return some_package.n")))

    assert digests[0] != digests[1]
    assert "some_package" not in sys.modules


def test_whole_library_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed, and larger than what anybody reads at each call, is refused, not waited for."""
    monkeypatch.setattr(contents, "_MOST", 100)
    module = ModuleType("endless")
    for number in range(101):
        exec(f"def g{number}(): return {number}", module.__dict__)

    with pytest.raises(UnreadableError, match="more than 100 objects, functions and classes"):
        digest(made("def f(): return m", m=module))


def test_wrapper_of_a_library_around_ones_own_function_shows_it() -> None:
    """`functools.wraps` copies the name, not the code."""

    def wrapped(n: int) -> Any:
        @functools.wraps(max)
        def inner():
            return n

        return inner

    assert digest(wrapped(1)) != digest(wrapped(2))
