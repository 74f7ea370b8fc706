# Functions are written as users write them.
# ruff: noqa: ANN001, ANN002, ANN003, ANN202, ANN204, ANN205, ANN206
from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fused_jupyter.caching.functions import Policy, cached
from fused_jupyter.caching.kept import KeptValues
from fused_jupyter.errors import ArgumentError

Keep = Callable[..., Any]


class Log:
    """Notes runs in a file: an object in memory that changes with each run would be another key each time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, word: str = "run") -> None:
        with self.path.open("a") as file:
            file.write(f"{word} ")

    @property
    def words(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.fixture
def values(tmp_path: Path) -> KeptValues:
    return KeptValues(tmp_path / "cache", size=100_000_000)


@pytest.fixture
def keep(values: KeptValues) -> Keep:
    """`@fused.cache`, with values of the test's own."""

    def decorate(function: Any = None, **keywords: Any) -> Any:
        policy = Policy().changed(keywords)
        if function is None:
            return functools.partial(cached, policy=policy, values=lambda: values)
        return cached(function, policy, lambda: values)

    return decorate


# -- one run for equal calls


def test_equal_calls_run_once(keep: Keep, log: Log) -> None:
    """And give the same; another argument runs."""

    @keep
    def double(n):
        log.note()
        return 2 * n

    assert [double(1), double(1), double(2), double(1)] == [2, 2, 4, 2]
    assert len(log.words) == 2


def test_equal_function_answers_from_what_another_kept(keep: Keep, log: Log) -> None:
    """A UDF makes its inner functions anew at each run."""

    def udf(n):
        @keep
        def load(path):
            log.note()
            return path * n

        return load("a")

    assert [udf(2), udf(2), udf(3)] == ["aa", "aa", "aaa"]
    assert len(log.words) == 2


def test_how_arguments_are_passed_does_not_count(keep: Keep, log: Log) -> None:
    """By place or by name, in any order, with a default said or not: the official cache keeps each apart."""

    @keep
    def f(a, b=2, *, c=3, **rest):
        log.note()
        return a, b, c, rest

    wanted = (1, 2, 3, {"x": 1, "y": 2})
    assert f(1, x=1, y=2) == wanted
    assert f(1, 2, y=2, x=1) == wanted
    assert f(a=1, b=2, c=3, x=1, y=2) == wanted
    assert f(y=2, x=1, c=3, b=2, a=1) == wanted
    assert len(log.words) == 1


def test_arguments_of_any_number_count(keep: Keep, log: Log) -> None:
    """Each in its place, or by its name."""

    @keep
    def f(*args, **rest):
        log.note()
        return args, rest

    calls = [((1, 2), {}), ((2, 1), {}), (((1, 2),), {}), ((1,), {"x": 2}), ((1,), {"y": 2}), ((), {})]

    assert [f(*args, **rest) for args, rest in calls * 2] == calls * 2
    assert len(log.words) == len(calls)


def test_value_and_type_of_arguments_count(keep: Keep) -> None:
    """The official cache goes by their text: a long array has dots in its middle, and 4 prints like "4"."""

    @keep
    def kind(value):
        return type(value).__name__

    @keep
    def total(arrays):
        return float(arrays[0].sum())

    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1
    assert str([one]) == str([other])

    assert [total([one]), total([other])] == [0, 1]
    assert [kind(value) for value in (4, "4", 4.0, True)] == ["int", "str", "float", "bool"]
    assert [kind(value) for value in (1, None, "None")] == ["int", "NoneType", "str"]


def test_data_count_by_content(keep: Keep, log: Log) -> None:
    """The same table, read anew, is the same."""

    @keep
    def total(frame):
        log.note()
        return int(frame["a"].sum())

    assert [total(pd.DataFrame({"a": numbers})) for numbers in ([1, 2], [1, 2], [2, 2])] == [3, 3, 4]
    assert len(log.words) == 2


def test_global_names_and_helpers_count(keep: Keep) -> None:
    """The official cache gives the old value after either changed."""
    space: dict[str, Any] = {"keep": keep}
    exec("@keep\ndef f(): return helper() + LIMIT\ndef helper(): return 1\nLIMIT = 10", space)
    first = space["f"]()

    space["LIMIT"] = 20
    second = space["f"]()
    exec("def helper(): return 2", space)

    assert [first, second, space["f"]()] == [11, 21, 22]


def test_helper_that_is_cached_itself_counts(keep: Keep) -> None:
    """By what it does, not by how it is kept."""

    def made(add, **keywords):
        space: dict[str, Any] = {"keep": keep(**keywords)}
        exec(f"@keep\ndef g(): return {add}\n@keep\ndef f(): return g() + 10", space)
        return space["f"]

    assert [made(1)(), made(2)(), made(1, cache_max_age="1m")()] == [11, 12, 11]


def test_decorator_around_a_cached_helper_counts(keep: Keep) -> None:
    """`functools.wraps` makes it look like the helper."""

    def made(add):
        def more(function):
            @functools.wraps(function)
            def inner():
                return function() + add

            return inner

        @more
        @keep
        def helper():
            return 1

        return keep(lambda: 0 + helper())

    assert [made(1)(), made(2)()] == [2, 3]


def test_functions_of_a_prompt_differ(keep: Keep) -> None:
    """The official cache takes all functions without a source for one."""
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    exec("def f(a): return a + 1", one)
    exec("def f(a): return a + 2", other)

    assert [keep(one["f"])(1), keep(other["f"])(1)] == [2, 3]


def test_each_hit_is_an_object_of_its_own(keep: Keep) -> None:
    """Whoever changes it changes nothing for others."""

    @keep
    def frame():
        return pd.DataFrame({"a": np.zeros(100_000)})

    for _ in range(3):
        found = frame()
        assert found["a"].sum() == 0
        found.loc[:, "a"] = 1.0


def test_none_is_a_value(keep: Keep, log: Log) -> None:
    """It is kept like others."""

    @keep
    def nothing():
        log.note()

    assert [nothing(), nothing()] == [None, None]
    assert len(log.words) == 1


# -- what can be said


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time of day on."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_age_is_tested_when_a_value_is_asked_for(keep: Keep, log: Log, clock: Callable[[float], None]) -> None:
    """Said at the decorator, or at the call; one call may be content with an older value than another."""

    @keep(cache_max_age="1m")
    def f():
        log.note()

    f()
    clock(59)
    f()
    assert len(log.words) == 1
    clock(31)
    f(cache_max_age="2m")
    assert len(log.words) == 1
    f()
    assert len(log.words) == 2


def test_values_hold_two_days_unless_something_else_is_said(keep: Keep, log: Log, clock: Callable[..., None]) -> None:
    """As with the official client."""

    @keep
    def f():
        log.note()

    f()
    clock(48 * 3600 - 1)
    f()
    assert len(log.words) == 1
    clock(2)
    f()
    assert len(log.words) == 2


@pytest.mark.parametrize("never", [0, "0", "0s"])
def test_age_zero_neither_takes_nor_leaves_a_value(keep: Keep, log: Log, never: Any) -> None:
    """At the call or at the decorator."""

    @keep
    def f():
        log.note()
        return len(log.words)

    assert [f(cache_max_age=never), f(), f(), f(cache_max_age=never)] == [1, 2, 2, 3]
    assert keep(f.__wrapped__, cache_max_age=never)() == 4
    assert f() == 2


@pytest.mark.parametrize("name", ["cache_reset", "reset"])
def test_reset_is_for_one_call(keep: Keep, log: Log, name: str) -> None:
    """With the official client all later calls run, too."""

    @keep
    def f():
        log.note()
        return len(log.words)

    assert [f(), f(**{name: True}), f(), f(), f(**{name: False})] == [1, 2, 2, 2, 2]


def test_reset_at_the_decorator_is_for_each_call(keep: Keep, log: Log) -> None:
    """Until it is taken away; then the newest value holds."""

    def f():
        log.note()
        return len(log.words)

    always = keep(f, cache_reset=True)

    assert [always(), always(), always(cache_reset=False), keep(f)()] == [1, 2, 2, 2]


def test_cache_id_belongs_to_the_key(keep: Keep, log: Log) -> None:
    """The function does not get it, unless it asks for it."""

    @keep
    def f(a):
        log.note()
        return a

    @keep
    def asks(_cache_id):
        return _cache_id

    assert [f(1, _cache_id="x"), f(1, _cache_id="y"), f(1, _cache_id="x"), f(1)] == [1, 1, 1, 1]
    assert len(log.words) == 3
    assert [asks(_cache_id="x"), asks("y")] == ["x", "y"]


@pytest.mark.parametrize("exclude", ["connection", ["connection"], ("connection",)])
def test_excluded_arguments_are_not_in_the_key(keep: Keep, log: Log, exclude: Any) -> None:
    """The function gets them all the same; they need no content that can be read."""

    @keep(cache_key_exclude=exclude)
    def f(n, connection=None):
        log.note()
        return n, type(connection).__name__

    assert f(1, threading.Lock()) == (1, "lock")
    assert f(1, connection=None) == (1, "lock")
    assert f(2, None) == (2, "NoneType")
    assert len(log.words) == 2


def test_excluded_names_may_be_those_of_keyword_arguments(keep: Keep, log: Log) -> None:
    """Which the signature does not list."""

    @keep(cache_key_exclude=["token"])
    def f(**rest):
        log.note()
        return rest

    assert f(a=1, token="x") == f(a=1, token="y") == {"a": 1, "token": "x"}
    assert f(a=2) == {"a": 2}
    assert len(log.words) == 2


def test_excluding_what_is_no_parameter_is_an_error(keep: Keep) -> None:
    """It says which there are."""
    with pytest.raises(ArgumentError, match="f has no parameter conection; it has n, connection"):

        @keep(cache_key_exclude=["conection"])
        def f(n, connection):
            return n


@pytest.mark.parametrize("name", ["cache_folder_path", "path"])
@pytest.mark.parametrize(
    ("folder", "kept_in"),
    [("mine", "mine"), ("/tmp/custom_path/", "tmp_custom_path"), ("s3://fused/x y", "s3_fused_x_y"), ("../..", "any")],
)
def test_folder_is_a_name_below_the_cache(keep: Keep, tmp_path: Path, name: str, folder: str, kept_in: str) -> None:
    """Whatever it was elsewhere; nothing is written anywhere else."""

    @keep(**{name: folder})
    def f():
        return 1

    f()

    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert kept.parts[-4:-2] == ("functions", kept_in)


@pytest.mark.parametrize("name", ["cache_storage", "storage"])
def test_storage_is_accepted(keep: Keep, name: str) -> None:
    """There is one; a word that nobody knows is an error."""

    def f():
        return 1

    assert [keep(f, **{name: word})() for word in ("auto", "local", "mount")] == [1, 1, 1]
    with pytest.raises(ArgumentError, match="got 'cloud', need auto, local or mount"):
        keep(f, **{name: "cloud"})


@pytest.mark.parametrize("name", ["cache_verbose", "verbose"])
def test_verbose_says_when_a_value_was_kept(
    keep: Keep, capsys: pytest.CaptureFixture[str], clock: Callable[[float], None], name: str
) -> None:
    """Only where asked, and only for what did not run."""

    @keep
    def f():
        return 1

    f(**{name: True})
    clock(7)
    f()
    assert capsys.readouterr().out == ""
    f(**{name: True})
    assert capsys.readouterr().out == "f(): cached 7 s ago\n"


def test_own_parameters_are_the_functions(keep: Keep) -> None:
    """Older names are common ones; what `**kwargs` may take goes there, too."""

    @keep
    def f(path, verbose=False):
        return path, verbose

    @keep
    def g(**rest):
        return rest

    assert f(path="a", verbose=True) == ("a", True)
    assert g(reset=1, storage="cloud", cache_reset=True) == {"reset": 1, "storage": "cloud"}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"cache_max_age": "2w"}, "cache_max_age: got '2w'"),
        ({"cache_max_age": -1}, "cache_max_age: got -1"),
        ({"concurrent_lock_timeout": "soon"}, "concurrent_lock_timeout: got 'soon'"),
    ],
)
def test_what_does_not_fit_is_an_error(keep: Keep, keywords: dict[str, Any], message: str) -> None:
    """When the function is made, or when it is called."""

    def f():
        return 1

    with pytest.raises(ArgumentError, match=message):
        keep(f, **keywords)
    with pytest.raises(ArgumentError, match=message):
        keep(f)(**keywords)


# -- what can be cached


def test_function_looks_as_before(keep: Keep) -> None:
    """Name, signature, documentation; and what it was is still there."""

    @keep(cache_max_age="1h")
    def f(a: int, b: str = "x") -> str:
        """What it does."""
        return b * a

    assert (f.__name__, f.__doc__, str(inspect.signature(f))) == (
        "f",
        "What it does.",
        "(a: 'int', b: 'str' = 'x') -> 'str'",
    )
    assert f.__wrapped__(2) == "xx"


class Place:
    def __init__(self, n: int, log: Log) -> None:
        self.n = n
        self.log = log


def test_methods_count_their_object_by_content(keep: Keep, log: Log) -> None:
    """Two that hold the same are the same; class methods and static methods work either way round."""

    class Sized(Place):
        @keep
        def double(self):
            self.log.note()
            return 2 * self.n

        @keep
        @classmethod
        def name(cls):
            return cls.__name__

        @staticmethod
        @keep
        def one():
            return 1

    assert [Sized(1, log).double(), Sized(1, log).double(), Sized(2, log).double()] == [2, 2, 4]
    assert len(log.words) == 2
    assert [Sized.name(), Sized(1, log).name(), Sized.one(), Sized(1, log).one()] == ["Sized", "Sized", 1, 1]


def test_whatever_can_be_called_can_be_cached(keep: Keep) -> None:
    """Written in C, in part applied, an object."""

    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, a):
            return a + self.n

    assert [keep(Adder(1))(1), keep(Adder(2))(1)] == [2, 3]
    assert [keep(functools.partial(int, base=2))("11"), keep(functools.partial(int, base=8))("11")] == [3, 9]
    assert keep(max)(1, 2) == 2
    assert keep(lambda a: a)(1) == 1


def test_generators_are_refused(keep: Keep) -> None:
    """At once, and not when the second call finds nothing; async ones as well."""

    def plain():
        yield 1

    async def other():
        yield 1

    for function in (plain, other):
        with pytest.raises(ArgumentError, match="is a generator.*return a list"):
            keep(function)


def test_value_that_cannot_be_kept_is_given_with_a_warning(keep: Keep, log: Log) -> None:
    """The official client raises, after the function has run."""

    @keep
    def f():
        log.note()
        return threading.Lock()

    for _ in range(2):
        with pytest.warns(UserWarning, match=r"f\(\) is not cached: its value, _thread.lock, cannot be kept") as caught:
            assert f().acquire()
        assert caught[0].filename == __file__
    assert len(log.words) == 2


def test_argument_that_cannot_be_read_runs_with_a_warning(keep: Keep, log: Log) -> None:
    """It says which, and what to do."""

    @keep
    def f(n, connection):
        log.note()
        return n

    for _ in range(2):
        with pytest.warns(UserWarning, match="'connection' cannot be read .*cache_key_exclude") as caught:
            assert f(1, threading.Lock()) == 1
        assert caught[0].filename == __file__
    assert len(log.words) == 2


def test_arguments_that_do_not_fit_raise_as_before(keep: Keep) -> None:
    """The function's own error."""

    @keep
    def f(a):
        return a

    with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'a'"):
        f()
    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        f(1, b=2)


def test_failed_call_is_not_kept(keep: Keep, log: Log) -> None:
    """The next one runs, and may succeed."""

    @keep
    def f():
        log.note()
        if len(log.words) == 1:
            raise KeyError("not yet")
        return 1

    with pytest.raises(KeyError, match="not yet"):
        f()
    assert [f(), f()] == [1, 1]
    assert len(log.words) == 2


def test_damaged_value_is_made_again(keep: Keep, log: Log, tmp_path: Path) -> None:
    """And never an error."""

    @keep
    def f():
        log.note()
        return 1

    f()
    (path,) = tmp_path.glob("cache/functions/*/*/*")
    path.write_bytes(b"broken")

    assert [f(), f()] == [1, 1]
    assert len(log.words) == 2


def test_directory_that_cannot_be_made_costs_only_the_cache(tmp_path: Path) -> None:
    """A home that is read-only."""
    (tmp_path / "file").write_bytes(b"")
    f = cached(lambda: 1, Policy(), lambda: KeptValues(tmp_path / "file" / "cache", size=100))

    with pytest.warns(UserWarning, match="is not cached"):
        assert f() == 1


def test_function_that_calls_itself_alike_does_not_wait_for_itself(keep: Keep) -> None:
    """What tells the calls apart is not in the key here."""

    @keep(cache_key_exclude=["depth"])
    def f(n, depth):
        return n if depth == 0 else f(n, depth - 1) + 1

    began = time.monotonic()
    assert f(1, 3) == 4
    assert time.monotonic() - began < 10


# -- at the same time


def at_once(count: int, function: Callable[[], Any]) -> list[Any]:
    """The results of threads that begin together; exceptions as they are."""
    start = threading.Barrier(count)

    def run(_: int) -> Any:
        start.wait()
        try:
            return function()
        except Exception as exc:  # noqa: BLE001 - what is asked for
            return exc

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_equal_calls_in_threads_run_once(keep: Keep, log: Log) -> None:
    """The others wait."""

    @keep
    def f():
        log.note()
        time.sleep(0.2)
        return 1

    assert at_once(8, f) == [1] * 8
    assert len(log.words) == 1


def test_value_that_came_just_before_the_lock_is_taken(
    keep: Keep, log: Log, values: KeptValues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other call may end between a look at the file and a look at the lock."""

    @keep
    def f():
        log.note()
        return 1

    f()
    real, looks = values.read, iter([None])

    def read(*place: str, oldest: float) -> Any:
        return next(looks, 1) and real(*place, oldest=oldest)

    monkeypatch.setattr(values, "read", read)

    assert f() == 1
    assert len(log.words) == 1


def test_those_who_wait_see_the_exception(keep: Keep, log: Log) -> None:
    """With the official client each runs again; here one run fails for all, and is forgotten."""

    @keep
    def f():
        log.note()
        time.sleep(0.5)
        raise KeyError(len(log.words))

    found = at_once(6, f)

    assert [repr(exc) for exc in found] == ["KeyError(1)"] * 6
    assert len({id(exc) for exc in found}) == 6
    with pytest.raises(KeyError, match="2"):
        f()


def test_those_who_wait_for_what_cannot_be_kept_run_at_once(keep: Keep, log: Log) -> None:
    """Not one after another."""
    together = threading.Barrier(5)

    @keep(cache_key_exclude=["together"])
    def f(together):
        log.note()
        time.sleep(0.2)
        if len(log.words) > 1:
            together.wait(20)  # all five are there, or it breaks
        return threading.Lock()

    with pytest.warns(UserWarning, match="not cached"):
        found = at_once(6, lambda: f(together))

    assert {type(value).__name__ for value in found} == {"lock"}


def test_wait_has_an_end(values: KeptValues, log: Log) -> None:
    """Who has waited long enough runs as well."""
    release = threading.Event()
    policy = Policy(lock_timeout=0.1, exclude=frozenset({"event"}))

    def f(event):
        log.note()
        if event is not None:
            event.wait(20)
        return 1

    slow = threading.Thread(target=cached(f, policy, lambda: values), args=(release,))
    slow.start()
    while not log.words:
        time.sleep(0.01)

    assert cached(f, policy, lambda: values)(None) == 1
    assert len(log.words) == 2
    release.set()
    slow.join()


def test_reset_while_another_runs_takes_its_value(keep: Keep, log: Log) -> None:
    """It was made after the reset was asked for."""

    @keep
    def f():
        log.note()
        time.sleep(0.5)
        return len(log.words)

    f()

    assert at_once(4, lambda: f(cache_reset=True)) == [2] * 4


PROGRAM = """
import os, sys, time
from pathlib import Path
from fused_jupyter.caching.functions import Policy, cached
from fused_jupyter.caching.kept import KeptValues
folder, way = Path(sys.argv[1]), sys.argv[2]
values = KeptValues(folder / "cache", size=10**8)
def f(log, way):
    with open(log, "a") as file:
        file.write(f"{os.getpid()} ")
    time.sleep(0.5)
    if way == "fails":
        raise KeyError("of the run")
    return {"number": 1}
f = cached(f, Policy(), lambda: values)
print("ready", flush=True)
sys.stdin.readline()
try:
    print(f(str(folder / "log"), way))
except KeyError as exc:
    print(repr(exc))
"""


def processes(folder: Path, way: str, count: int = 4) -> list[subprocess.Popen[str]]:
    """That stand ready and begin together."""
    command = [sys.executable, "-c", PROGRAM, str(folder), way]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return running


@pytest.mark.parametrize(("way", "said"), [("works", "{'number': 1}\n"), ("fails", "KeyError('of the run')\n")])
def test_equal_calls_in_processes_run_once(tmp_path: Path, log: Log, way: str, said: str) -> None:
    """And all give its value, or raise what it raised."""
    assert [process.communicate(timeout=60)[0] for process in processes(tmp_path, way)] == [said] * 4
    assert len(log.words) == 1


def test_killed_run_is_taken_over(tmp_path: Path, log: Log) -> None:
    """By one of those who wait."""
    running = {process.pid: process for process in processes(tmp_path, "works")}
    while not log.words:
        time.sleep(0.01)

    killed = running.pop(int(log.words[0]))
    killed.kill()
    killed.communicate()

    assert [process.communicate(timeout=60)[0] for process in running.values()] == ["{'number': 1}\n"] * 3
    assert len(log.words) == 2


# -- async


def test_async_functions_are_cached(keep: Keep, log: Log) -> None:
    """They stay async, and equal tasks run once while others go on."""

    @keep
    async def f(n):
        log.note()
        await asyncio.sleep(0.1)
        return 2 * n

    async def main() -> list[int]:
        return await asyncio.gather(f(1), f(n=1), f(2), f(1))

    assert inspect.iscoroutinefunction(f)
    assert asyncio.run(main()) == [2, 2, 4, 2]
    assert asyncio.run(f(1)) == 2
    assert len(log.words) == 2


def test_task_that_was_cancelled_leaves_its_turn(keep: Keep, log: Log) -> None:
    """Another one runs; nobody hears of the end of a task that is not the function's fault."""

    @keep
    async def f():
        log.note()
        await asyncio.sleep(0.3 if len(log.words) > 1 else 30)
        return len(log.words)

    async def main() -> Any:
        first, second = asyncio.create_task(f()), asyncio.create_task(f())
        while not log.words:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        (first if log.words else second).cancel()
        return await asyncio.gather(first, second, return_exceptions=True)

    cancelled, value = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert value == 2


def test_tasks_that_wait_see_the_exception(keep: Keep, log: Log) -> None:
    """As threads do."""

    @keep
    async def f():
        log.note()
        await asyncio.sleep(0.1)
        raise ValueError("no")

    async def main() -> list[Any]:
        return await asyncio.gather(*(f() for _ in range(4)), return_exceptions=True)

    assert [repr(exc) for exc in asyncio.run(main())] == ["ValueError('no')"] * 4
    assert len(log.words) == 1
