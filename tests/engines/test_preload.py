from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import still_running

from fused_jupyter.engines import LocalEngine, preload
from fused_jupyter.engines.preload import Learnt, Notes, Noticed, is_installed, learnt_path
from fused_jupyter.settings import Options
from fused_jupyter.udfs import Choices, parse
from fused_jupyter.wire import Reply, Run

PRELOAD = ("fused_jupyter.engines.worker", "fused_jupyter.api")
LOADED = "import os, sys\ndef loaded(name: str):\n    return [os.getpid(), name in sys.modules]"


class Place:
    """An installed package directory of its own, a cache, and engines that learn."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.packages = directory / "site-packages"
        self.cache = directory / "cache"
        self.packages.mkdir()
        # As a user's own packages are installed: it is the one such directory that a variable names.
        base = directory / "base"
        site = Path(subprocess.run(
            [sys.executable, "-c", "import site; print(site.getusersitepackages())"],
            env={**os.environ, "PYTHONUSERBASE": str(base)}, capture_output=True, text=True, check=True,
        ).stdout.strip())  # fmt: skip
        site.parent.mkdir(parents=True)
        site.symlink_to(self.packages)
        monkeypatch.setenv("PYTHONUSERBASE", str(base))
        monkeypatch.setenv("PYTHONPATH", str(site))
        monkeypatch.setattr(preload, "_QUIET_SECONDS", 0.05)
        self._numbers = itertools.count(1)

    def install(self, name: str, source: str) -> None:
        """A package of one module."""
        (self.packages / f"{name}.py").write_text(source)

    @property
    def file(self) -> Path:
        return learnt_path(self.cache)

    @property
    def learnt(self) -> Learnt:
        """Of the packages here; our own modules are learnt as well."""
        learnt = Learnt.read(self.file)
        return Learnt([name for name in learnt.modules if not name.startswith("fused_jupyter.")], learnt.refused)

    def remember(self, *names: str) -> None:
        Learnt(list(names)).write(self.file)

    def options(self, **fields: Any) -> Options:
        given = {"workers": 1, "preload": PRELOAD, "cache_directory": str(self.cache)} | fields
        return Options(**given)

    def with_engine(self, use: Callable[[LocalEngine], Awaitable[Any]], **fields: Any) -> Any:
        """Use an engine that is started and closed around it; no process of it is left."""

        async def main() -> Any:
            engine = LocalEngine(self.options(**fields))
            engine.start()
            try:
                async with asyncio.timeout(30):
                    return await use(engine)
            finally:
                await engine.close()

        before = set(psutil.Process().children(recursive=True))
        result = asyncio.run(main())
        assert not still_running([*{*psutil.Process().children(recursive=True)} - before])
        return result

    async def ask(self, engine: LocalEngine, source: str, **parameters: Any) -> Any:
        udf = parse(source, Choices(directory=str(self.cache.parent)))
        run = Run(id=next(self._numbers), udf=udf.name, digest=udf.digest, parameters=parameters, format="json")
        answer, body = await engine.run(udf, run)
        assert isinstance(answer, Reply), answer
        return json.loads(body)

    async def until_loaded(self, engine: LocalEngine, name: str) -> int:
        """Until new workers have a module; gives the process that has it."""
        while True:
            pid, is_loaded = await self.ask(engine, LOADED, name=name)
            makes_workers = engine._grown is not None and name in engine._grown.loaded
            if is_loaded and makes_workers and any(w.pid == pid and w.template is engine._grown for w in engine._idle):
                return int(pid)
            await asyncio.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    return Place(tmp_path, monkeypatch)


# -- what is learnt


def test_package_that_a_udf_imports_is_there_for_the_next_workers(place: Place) -> None:
    """Without a wait for whoever calls meanwhile, and also in the next host."""
    place.install("slow_package", "import time; time.sleep(1.2); answer = 42")
    waits: list[float] = []

    async def first(engine: LocalEngine) -> tuple[int, int]:
        assert await place.ask(engine, "def f():\n    import slow_package\n    return slow_package.answer") == 42
        (user,) = [pid for pid, is_in in [await place.ask(engine, LOADED, name="slow_package")] if is_in]
        while not place.learnt.modules:
            started = time.monotonic()
            await place.ask(engine, "def g(): return 1")
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.02)
        while user in engine.pids:
            await asyncio.sleep(0.02)
        return user, await place.until_loaded(engine, "slow_package")

    async def second(engine: LocalEngine) -> int:
        return await place.until_loaded(engine, "slow_package")

    user, other = place.with_engine(first)

    assert user != other
    assert place.learnt.modules == ["slow_package"]
    assert max(waits) < 1.0
    assert place.with_engine(second)


def test_submodules_and_what_is_loaded_lazily_are_learnt_by_their_roots(place: Place) -> None:
    """What a root brings along needs no line of its own."""
    package = place.packages / "lazy_package"
    package.mkdir()
    (package / "__init__.py").write_text("from lazy_package import near")
    (package / "near.py").write_text("")
    (package / "far.py").write_text("")

    async def use(engine: LocalEngine) -> None:
        await place.ask(engine, "def f():\n    import lazy_package\n    import lazy_package.far")
        await place.until_loaded(engine, "lazy_package.far")
        assert (await place.ask(engine, LOADED, name="lazy_package.near"))[1]

    place.with_engine(use)

    assert place.learnt.modules == ["lazy_package.far"]


def test_own_files_and_headers_are_not_learnt(place: Place) -> None:
    """They change while workers live."""
    (place.cache.parent / "beside_the_notebook.py").write_text("")
    place.install("installed_package", "")

    async def use(engine: LocalEngine) -> None:
        await place.ask(engine, "def f():\n    import beside_the_notebook\n    import installed_package")
        await place.until_loaded(engine, "installed_package")

    place.with_engine(use)

    assert place.learnt.modules == ["installed_package"]


def test_local_file_does_not_stand_for_an_installed_module(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template starts in the notebook's directory; a module that was learnt is not taken from there."""
    place.install("doubled", "where = 'installed'")
    (place.cache.parent / "doubled.py").write_text("where = 'local'")
    monkeypatch.chdir(place.cache.parent)
    place.remember("doubled")

    async def use(engine: LocalEngine) -> str:
        await place.until_loaded(engine, "doubled")
        said: str = await place.ask(engine, "import sys\ndef f(): return sys.modules['doubled'].where")
        return said

    assert place.with_engine(use) == "installed"


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('not here')",
        "raise SystemExit",
        "import os; os._exit(1)",
        "import os; os.abort()",
        "import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "import subprocess; subprocess.Popen(['sleep', '0.5'])",
        "import signal; signal.signal(signal.SIGTERM, lambda *_: None)",
        "import time; time.sleep(60)",
    ],
)
def test_module_that_must_not_be_loaded_ahead_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """It does no harm, the others are there, and it is not tried again."""
    place.install("bad_package", source)
    place.install("good_package", "")
    place.remember("bad_package", "good_package")
    monkeypatch.setattr(preload, "_LOADING_SECONDS", 2.0)

    async def use(engine: LocalEngine) -> list[Any]:
        await place.until_loaded(engine, "good_package")
        seen: list[Any] = await place.ask(engine, LOADED, name="bad_package")
        return seen

    assert place.with_engine(use)[1] is False
    assert place.learnt == Learnt(["good_package"], ["bad_package"])


def test_learning_can_be_switched_off(place: Place) -> None:
    """Nothing is loaded, nothing written."""
    place.install("some_package", "")

    async def use(engine: LocalEngine) -> list[Any]:
        await place.ask(engine, "def f(): import some_package")
        await asyncio.sleep(0.5)
        seen: list[Any] = await place.ask(engine, LOADED, name="some_package")
        return seen

    assert place.with_engine(use, learn_preload=False)[1] is True
    assert not place.file.exists()


def test_no_preload_means_none(place: Place) -> None:
    """Neither what the settings have by default nor what was learnt."""
    place.install("some_package", "")
    place.remember("some_package")
    source = "import sys\ndef f(): return sorted({name.partition('.')[0] for name in sys.modules})"

    async def use(engine: LocalEngine) -> set[str]:
        await asyncio.sleep(0.5)
        return set(await place.ask(engine, source))

    assert not place.with_engine(use, preload=()) & {"numpy", "pandas", "geopandas", "some_package"}


def test_killed_copy_of_the_template_costs_no_later_call(place: Place) -> None:
    """The one that it was a copy of makes the workers again, and another copy."""
    place.install("some_package", "")
    place.remember("some_package")

    async def use(engine: LocalEngine) -> tuple[int, int]:
        before = await place.until_loaded(engine, "some_package")
        assert engine._grown is not None
        os.kill(engine._grown.pid, 9)
        await asyncio.sleep(0.3)
        after, _ = await place.ask(engine, LOADED, name="some_package")
        await place.until_loaded(engine, "some_package")
        return before, after

    before, after = place.with_engine(use)

    assert before != after


def test_closing_while_it_learns_leaves_no_process(place: Place) -> None:
    """Not even one that is in the middle of an import."""
    place.install("endless_package", "import time; time.sleep(60)")
    place.remember("endless_package")

    async def use(engine: LocalEngine) -> None:
        await place.ask(engine, "def f(): return 1")
        while not engine._template._offspring:
            await asyncio.sleep(0.02)

    place.with_engine(use)


# -- spawn


def test_spawned_workers_are_fresh_interpreters(place: Place) -> None:
    """They have the preload, obey, and die with their group."""
    place.install("some_package", "")
    source = """
import os, sys, subprocess
def f():
    child = subprocess.Popen(["sleep", "60"])
    argv = open("/proc/self/cmdline").read().split("\\0")
    return [os.getpid(), child.pid, argv[1:3], "some_package" in sys.modules]
"""

    async def use(engine: LocalEngine) -> list[Any]:
        found: list[Any] = await place.ask(engine, source)
        assert await place.ask(engine, "def g(): return 7") == 7
        return found

    pid, child, argv, has_package = place.with_engine(
        use, start_method="spawn", preload=(*PRELOAD, "some_package"), spare_workers=0
    )

    assert argv == ["-m", "fused_jupyter.engines.worker"]
    assert has_package
    assert not still_running([psutil.Process(each) for each in (pid, child) if psutil.pid_exists(each)])


def test_crash_and_deadline_of_a_spawned_worker_are_told(place: Place) -> None:
    """As of a forked one."""

    async def use(engine: LocalEngine) -> list[str]:
        said = []
        for source in ("import os\ndef f(): os._exit(3)", "import ctypes\ndef f(): ctypes.string_at(0)"):
            with pytest.raises(Exception, match="f") as caught:
                await place.ask(engine, source)
            said.append(str(caught.value))
        return said

    ended, crashed = place.with_engine(use, start_method="spawn", spare_workers=0)

    assert "ended with exit code 3" in ended
    assert "signal 11" in crashed
    assert "line 2" in crashed


# -- the list


def test_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And bounded."""
    learnt = Learnt(["a.b", "c"], ["d"])
    learnt.write(tmp_path / "new" / "list.json")
    Learnt([f"m{n}" for n in range(1000)], []).write(tmp_path / "long.json")

    assert Learnt.read(tmp_path / "new" / "list.json") == learnt
    assert Learnt.read(tmp_path / "long.json").modules == [f"m{n}" for n in range(800, 1000)]
    assert [path.name for path in tmp_path.rglob("*.tmp")] == []


@given(
    st.binary(max_size=40)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_garbage_in_the_file_is_an_empty_list(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a crash or another program left there."""
    path = tmp_path_factory.mktemp("garbage") / "list.json"
    path.write_bytes(content)

    assert Learnt.read(path) == Learnt()


@pytest.mark.parametrize(
    "values",
    [
        {"modules": ["fine", "not a name", "", "a..b", 7, None, "x" * 300, "__import__('os')"], "refused": []},
        {"modules": ["fine"], "refused": ["../etc"]},
    ],
)
def test_only_names_of_modules_are_taken(tmp_path: Path, values: dict[str, Any]) -> None:
    """Nothing else is ever imported."""
    (tmp_path / "list.json").write_text(json.dumps(values))

    assert Learnt.read(tmp_path / "list.json") == Learnt(["fine"], [])


def test_list_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """Where the cache is a file, or read-only."""
    (tmp_path / "cache").write_text("")

    Learnt(["a"]).write(tmp_path / "cache" / "list.json")

    assert Learnt.read(tmp_path / "cache" / "list.json") == Learnt()


def test_each_environment_has_its_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is shared by kernels that have other packages."""
    here = learnt_path(tmp_path)
    monkeypatch.setattr(sys, "prefix", "/another/environment")

    assert learnt_path(tmp_path) != here


# -- what a worker notices


def test_modules_are_told_once_and_the_last_first() -> None:
    """Of Python itself and of packages; not what stands for no file."""
    code = """
import os, sys, types
from fused_jupyter.engines.preload import Noticed
noticed = Noticed(1)
noticed.tell()
import colorsys, wave
sys.modules["made_up"] = types.ModuleType("made_up")
noticed.tell()
noticed.tell()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    names = json.loads(line)

    assert names.index("wave") < names.index("colorsys")
    assert "made_up" not in names


def test_file_of_the_udf_under_the_number_of_the_pipe_stays_as_it_is(tmp_path: Path) -> None:
    """A UDF may close what is not its own."""
    read_end, write_end = os.pipe()
    noticed = Noticed(write_end)
    file = os.open(tmp_path / "own", os.O_WRONLY | os.O_CREAT)
    os.dup2(file, write_end)
    sys.modules.pop("colorsys", None)
    import colorsys  # noqa: F401

    noticed._known.discard("colorsys")
    noticed._count -= 1
    noticed.tell()
    for descriptor in (read_end, write_end, file):
        os.close(descriptor)

    assert (tmp_path / "own").read_bytes() == b""


def test_notes_that_a_udf_wrote_are_passed_over() -> None:
    """No JSON, no list; a line that comes in pieces is one."""
    read_end, write_end = os.pipe()
    notes = Notes(read_end)
    os.write(write_end, b'["a", "b"]\nnonsense\n{"x": 1}\n["c"]\n["half')

    assert notes.read() == ["a", "b", "c"]
    assert notes.read() == []
    os.write(write_end, b'way"]\n')
    assert notes.read() == ["halfway"]
    assert notes.is_open
    os.close(write_end)
    assert notes.read() == []
    assert not notes.is_open
    notes.close()


def test_many_modules_arrive_whole() -> None:
    """More than a pipe gives at once."""
    read_end, write_end = os.pipe()
    notes, heard = Notes(read_end), list[str]()
    names = [f"package.module_{n:04}" for n in range(2000)]
    line = json.dumps(names).encode() + b"\n"
    for start in range(0, len(line), 4096):
        os.write(write_end, line[start : start + 4096])
        heard += notes.read()
    os.close(write_end)
    notes.close()

    assert heard == names


def test_what_starts_threads_is_never_loaded_ahead() -> None:
    """Packages that are known not to survive a fork."""
    assert is_installed("json")
    assert not is_installed("grpc")
    assert not is_installed("tests.engines.test_preload")
    assert not is_installed("not_there_at_all")


# -- its end

OWNER = """
import asyncio
from fused_jupyter.engines import LocalEngine
from fused_jupyter.settings import Options
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Run

SPIN = "def spin():\\n    while True: pass"
CHILD = "import subprocess\\ndef child(): subprocess.run(['sleep', '300'])"

async def main():
    engine = LocalEngine(Options(workers=2, preload={preload!r}, cache_directory={cache!r}, start_method={method!r}))
    engine.start()
    while {method!r} == "fork" and engine._grown is None:
        await asyncio.sleep(0.02)
    for n, source in enumerate((SPIN, CHILD)):
        udf = parse(source)
        asyncio.create_task(engine.run(udf, Run(id=n, digest=udf.digest, parameters={{}})))
    while engine.load["busy"] < 2:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("method", "victim"), [("fork", "owner"), ("fork", "template"), ("fork", "grown"), ("spawn", "owner")]
)
def test_killed_process_leaves_none(place: Place, method: str, victim: str) -> None:
    """Whoever it is, and the owner with it: no template, no worker that spins, no child of a UDF."""
    place.install("some_package", "")
    place.remember("some_package")
    code = OWNER.format(preload=PRELOAD, cache=str(place.cache), method=method)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            deadline = time.monotonic() + 20
            family: list[psutil.Process] = []
            while not any(one.name() == "sleep" for one in family):
                assert time.monotonic() < deadline
                time.sleep(0.05)
                family = psutil.Process(process.pid).children(recursive=True)
            template = next(one for one in family if one.ppid() == process.pid)
            grown = next((one for one in family if one.ppid() == template.pid and one.children()), template)
            victims = {"template": template, "grown": grown}
            if victim in victims:
                victims[victim].kill()
                time.sleep(0.3)
        finally:
            process.kill()

    assert not still_running(family)


def test_killed_template_heals_also_where_it_has_a_copy(place: Place) -> None:
    """Both are gone then, with their workers; the next call starts another one, which learns again."""
    place.install("some_package", "")
    place.remember("some_package")

    async def use(engine: LocalEngine) -> tuple[int, int]:
        before = await place.until_loaded(engine, "some_package")
        assert engine._template._process is not None
        engine._template._process.kill()
        await asyncio.sleep(0.3)
        after, _ = await place.ask(engine, LOADED, name="some_package")
        await place.until_loaded(engine, "some_package")
        return before, after

    before, after = place.with_engine(use)

    assert before != after
