from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fused_jupyter.engines.nesting import Level, depend_on, follow_threads, running
from fused_jupyter.errors import FusedError, UdfRecursionError, UdfRuntimeError
from fused_jupyter.udfs import parse

if TYPE_CHECKING:
    from conftest import Workshop

WAYS = {
    "a call": "f(n=n + 1, most=most)",
    "fused.run": "fused.run(f, n=n + 1, most=most)",
    "a tile": "fused.run(f, n=n + 1, most=most, x=0, y=0, z=0)",
    "a result": "fused.run_result(f, n=n + 1, most=most).data",
    "a result that is awaited": "asyncio.run(fused.run_async(f, n=n + 1, most=most, _return_response=True)).data",
    "run_async": "asyncio.run(fused.run_async(f, n=n + 1, most=most))",
    "a thread": "in_thread(lambda: f(n=n + 1, most=most))",
    "a pool": "pool.submit(f, n=n + 1, most=most).result()",
    "a pool of each": "with_pool(lambda: f(n=n + 1, most=most))",
    "a pool of processes' kind": "with_old_pool(lambda: f(n=n + 1, most=most))",
    "to_thread": "asyncio.run(asyncio.to_thread(f, n=n + 1, most=most))",
    "an executor": "asyncio.run(in_executor(lambda: f(n=n + 1, most=most)))",
}
"""How a UDF may run itself."""

CELL = """
@fused.udf
def f(n: int = 0, most: int = 5):
    import asyncio, threading
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool

    pool = vars(threading).setdefault("_pool_of_this_test", ThreadPoolExecutor(20))

    def in_thread(job):
        found = []
        def work():
            try:
                found.append(job())
            except Exception as exc:
                found.append(exc)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    def with_pool(job):
        with ThreadPoolExecutor(1) as own:
            return own.submit(job).result()

    def with_old_pool(job):
        with ThreadPool(1) as own:
            return own.apply(job)

    async def in_executor(job):
        return await asyncio.get_running_loop().run_in_executor(None, job)

    return n if n == most else WAY
"""


@pytest.mark.parametrize("way", WAYS)
def test_udf_runs_itself_five_levels_deep(way: str, workshop: Workshop) -> None:
    """In whichever way, and as often as one likes."""
    source = CELL.replace("WAY", WAYS[way])

    for _ in range(2):
        assert workshop.run(source) == 5


@pytest.mark.parametrize("way", [way for way in WAYS if "result" not in way])
def test_sixth_level_is_refused_with_the_chain(way: str, workshop: Workshop) -> None:
    """The error comes through all levels and names the UDFs."""
    source = CELL.replace("WAY", WAYS[way])

    for _ in range(2):
        with pytest.raises(
            UdfRecursionError, match=r"more than 5 levels deep: f → f → f → f → f → f → f; end"
        ) as caught:
            workshop.run(source, parameters={"most": 1000})
        assert caught.value.status == 422
        assert caught.value.child_exception_class == "RecursionError"
        assert isinstance(caught.value, UdfRuntimeError)


def test_udfs_that_run_each_other_are_counted_together(workshop: Workshop) -> None:
    """The chain tells who ran whom."""
    source = """
    @fused.udf
    def ping(n: int = 0, most: int = 5):
        @fused.udf
        def pong(n: int, most: int, ping: str):
            return fused.load(ping)(n=n + 1, most=most)
        if n >= most:
            return n
        return pong(n=n + 1, most=most, ping=ping.code)
    """
    assert workshop.run(source, parameters={"most": 4}) == 4
    with pytest.raises(UdfRecursionError, match="deep: ping → pong → ping → pong → ping → pong → ping;"):
        workshop.run(source)


def test_siblings_are_not_levels(workshop: Workshop) -> None:
    """However many run at once, in threads that started beside each other, from one that has ended or not."""
    source = """
    @fused.udf
    def outer():
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        @fused.udf
        def leaf(n: int):
            import time
            time.sleep(0.01)
            return n

        async def many():
            return await asyncio.gather(*(fused.run_async(leaf, n=n) for n in range(20)))

        with ThreadPoolExecutor(20) as pool:
            first = list(pool.map(lambda n: leaf(n=n), range(20)))
        return first == asyncio.run(many()) == [leaf(n=n) for n in range(20)]
    """
    assert workshop.run(source)


def test_deepest_level_is_a_setting(workshop: Workshop) -> None:
    """0 lets no UDF run another one."""
    source = """
    @fused.udf
    def f(limit: str, n: int = 0):
        import os
        os.environ["FUSED_MAX_RECURSION_FACTOR"] = limit
        return f(limit=limit, n=n + 1)
    """
    for limit in (0, 2, 20):
        with pytest.raises(UdfRecursionError, match=f"more than {limit} levels deep") as caught:
            workshop.run(source, parameters={"limit": str(limit)})
    assert "deep: f → f → f → f → f → f → (10 more) → f → f → f → f → f → f; end" in caught.value.message


# -- in this process


@pytest.fixture
def _following() -> Iterator[None]:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    follow_threads()
    yield
    threading.Thread.start = start  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]


def deepest() -> int:
    """How many levels there may be below this one."""
    try:
        with Level("deeper"):
            return 1 + deepest()
    except FusedError:
        return 0


@pytest.mark.usefixtures("_following")
def test_thread_of_an_earlier_call_starts_anew() -> None:
    """Of a pool that outlives its call, what it is given to do later is not inside of that call."""
    with Level("outer"), Level("inner"):
        pool = ThreadPoolExecutor(1)
        assert pool.submit(deepest).result() == 4

    with pool:
        assert pool.submit(deepest).result() == deepest() == 6
        with Level("other"):
            assert pool.submit(deepest).result() == 5


@pytest.mark.usefixtures("_following")
def test_level_that_fails_is_left() -> None:
    """An exception does not count for the next call."""
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), Level("one"), Level("two"):
            1 / 0  # noqa: B018 - it raises
    assert deepest() == 6


@pytest.mark.usefixtures("_following")
def test_what_inner_calls_read_counts_for_the_outermost(tmp_path: Path) -> None:
    """As it was before it was read the first time; also from threads; and for no call that comes later."""
    path, missing = tmp_path / "a", tmp_path / "b"
    path.write_text("1")
    before = path.stat()

    with Level("outer") as outer:
        with Level("inner"):
            depend_on(path)
        path.write_text("22")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(depend_on, path).result()
            pool.submit(depend_on, missing).result()
    with Level("later") as later:
        pass
    depend_on(path)  # outside of calls, where it means nothing

    assert outer.files == ((str(path), before.st_mtime_ns, 1), (str(missing), 0, -1))
    assert later.files == ()


@pytest.mark.usefixtures("_following")
def test_running_udf_is_known_in_its_threads() -> None:
    """The innermost; none outside of calls."""
    one, two = (parse(f"def {name}(): pass") for name in ("one", "two"))

    with Level("one", one), ThreadPoolExecutor(1) as pool:
        with Level("two", two):
            assert running() is two
        assert running() is pool.submit(running).result() is one
    assert running() is None
