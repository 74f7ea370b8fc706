# The functions are UDFs as users write them.
# ruff: noqa: ANN001, ANN201, ANN202
from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import call
from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime import _runtime
from fused_jupyter.udfs import HeaderModule, UdfDefinition

Define = Callable[..., UdfDefinition]


@pytest.fixture
def in_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a UDF finds in a worker, here."""
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(Path.cwd())
    _alias.install()
    yield
    _alias.uninstall()


def gives(definition: UdfDefinition, **arguments: Any) -> Any:
    return call(definition, arguments).value


FORMS = {
    "bare": "@fused.cache",
    "called": "@fused.cache()",
    "every keyword": (
        "@fused.cache(cache_max_age='30d', cache_folder_path='table_to_tile', concurrent_lock_timeout=60, "
        "cache_reset=False, cache_storage='local', cache_key_exclude=(), cache_verbose=False)"
    ),
    "older keywords": "@fused.cache(path='s3://fused-users/me/cache/', storage='mount', reset=False, verbose=True)",
    "imported": "from fused import cache\n    @cache",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_all_forms_of_public_udfs_work(in_worker: None, definition: Define, tmp_path: Path, form: str) -> None:
    """In a function inside the UDF, which each run makes anew."""
    udf = definition(f"""
@fused.udf
def udf(n: int = 1):
    log = {str(tmp_path / "log")!r}
    {form}
    def load(path, n):
        with open(log, "a") as file:
            file.write("x")
        return path * n
    return load("a", n), load("a", n=n)
""")

    assert [gives(udf), gives(udf), gives(udf, n=2)] == [("a", "a"), ("a", "a"), ("aa", "aa")]
    assert (tmp_path / "log").read_text() == "xx"


def test_decorator_may_be_a_call(in_worker: None, definition: Define) -> None:
    """`fused.cache(function)(...)`, with words for the cache at each call."""
    udf = definition("""
def install(folder):
    return folder.upper()
def udf():
    cached = fused.cache(install, cache_max_age="1h")
    return cached("a", cache_verbose=False), cached("a", _cache_id="b"), fused.cache(install)("a", reset=True)
""")

    assert gives(udf) == ("A", "A", "A")


BODIES = {
    "beside it": """
def udf():
    return load()
@fused.cache
def load():
    return N + utils.add()
N = 1
import utils
""",
    "in a closure": """
def udf():
    import utils
    @fused.cache
    def load():
        return 1 + utils.add()
    return load()
""",
    "by name": """
def udf():
    @fused.cache
    def load():
        from utils import add
        return 1 + add()
    return load()
""",
    "in the function": """
def udf():
    @fused.cache
    def load():
        import utils
        return 1 + utils.add()
    return load()
""",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_header_modules_count(in_worker: None, definition: Define, body: str) -> None:
    """The official cache gives the old value after they changed; what is beside is not read."""
    other = "\ndef unused(): return {}"

    def with_header(number: int, unused: int = 0) -> UdfDefinition:
        source = f"def add(): return BASE\nBASE = {number}" + other.format(unused)
        return definition(body, headers=(HeaderModule(module_name="utils", source=source),))

    first = [gives(with_header(10)) for _ in range(2)]

    assert [*first, gives(with_header(20)), gives(with_header(10, unused=1))] == [11, 11, 21, 11]


def test_header_module_may_use_it(in_worker: None, definition: Define) -> None:
    """As `common` does."""
    header = """
@fused.cache(path="common")
def add(n):
    return n + 1
"""
    udf = definition(
        "import utils\ndef udf(n: int): return utils.add(n)",
        headers=(HeaderModule(module_name="utils", source=header),),
    )

    assert [gives(udf, n=n) for n in (1, 1, 2)] == [2, 2, 3]


def test_options_stand_for_themselves() -> None:
    """A first argument that is no function is a word for the cache in the wrong place."""
    with pytest.raises(ArgumentError, match="got '48h', need a function"):
        fused.cache("48h")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="max_age"):
        fused.cache(max_age="48h")  # type: ignore[call-overload]


@fused.udf
def slow(log: str, n: int = 0):
    import os
    import pathlib
    import time

    @fused.cache
    def load(log):
        with pathlib.Path(log).open("a") as file:
            file.write(f"{os.getpid()} ")
        time.sleep(2)
        return 42

    return load(log), os.getpid()


def test_workers_run_equal_calls_once(tmp_path: Path) -> None:
    """Two at the same time: one runs, the other one waits; a third finds it in its file."""
    log = str(tmp_path / "log")
    found: list[tuple[int, int]] = []
    threads = [threading.Thread(target=lambda n=n: found.append(slow(log, n))) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found.append(slow(log, 3))

    assert [value for value, _ in found] == [42, 42, 42]
    assert len({pid for _, pid in found}) == 2
    assert len(Path(log).read_text().split()) == 1
    assert os.getpid() not in {pid for _, pid in found}
