from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from processes import still_running

from fused_jupyter.caching import folders
from fused_jupyter.errors import (
    ArgumentError,
    HostLostError,
    ShareError,
    UdfRuntimeError,
    UdfSerializationError,
    WorkerLostError,
)
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.settings import Options
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Announcement, Describe, Described, Run, connect

Define = Callable[..., UdfDefinition]

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelRuntime]:
    """A kernel's runtime with its host; the environment holds a secret when it starts."""
    options = Options(workers=2, preload=PRELOAD, cache_directory=str(tmp_path_factory.mktemp("cache")))
    os.environ["JUPYTER_TOKEN"] = os.environ["JUPYTERHUB_API_TOKEN"] = "the server's own"
    made = KernelRuntime(options)
    made.start()
    yield made
    made.close()
    del os.environ["JUPYTER_TOKEN"], os.environ["JUPYTERHUB_API_TOKEN"]


def run(
    runtime: KernelRuntime,
    definition: UdfDefinition,
    *,
    tile: Tile | None = None,
    age: str | None = None,
    **arguments: Any,
) -> Any:
    return runtime.run(definition, arguments, tile=tile, cache_max_age=age)


def announcement(runtime: KernelRuntime) -> Announcement:
    return Announcement.read(Announcement.path_for(runtime.directory, runtime.kernel_id))


def as_server(runtime: KernelRuntime, ask: Callable[[Any], Any]) -> Any:
    """What a Jupyter server would do."""

    async def main() -> Any:
        client = await connect(announcement(runtime), role="server", on_event=lambda _: None)
        try:
            return await asyncio.wait_for(ask(client), 20)
        finally:
            await client.close()

    return asyncio.run(main())


def names(runtime: KernelRuntime) -> dict[str, str]:
    """Name and digest of what the host would run for a server."""

    async def ask(client: Any) -> Any:
        answer, _ = await client.call(Describe(id=client.next_number()))
        assert isinstance(answer, Described)
        return {udf["name"]: udf["digest"] for udf in answer.udfs}

    found: dict[str, str] = as_server(runtime, ask)
    return found


# -- run, edit, error


def test_udf_runs_in_the_host_and_gives_the_object(runtime: KernelRuntime, definition: Define) -> None:
    """Arrays can be changed; neither the kernel nor the host ran it."""
    udf = definition("import os, numpy as np\ndef f(n: int): return os.getpid(), np.arange(n)")

    pid, array = run(runtime, udf, n="5")
    array[0] = 7

    assert pid not in {os.getpid(), runtime.link.pid}
    assert array.tolist() == [7, 1, 2, 3, 4]


def test_objects_are_arguments(runtime: KernelRuntime, definition: Define) -> None:
    """They travel pickled, and are typed like text."""
    udf = definition("def f(array, n: int): return array.sum() + n")

    assert run(runtime, udf, array=np.ones((100, 100)), n=2.0) == 10002


def test_tile_is_passed_on(runtime: KernelRuntime, definition: Define) -> None:
    """As the area of the UDF."""
    udf = definition("def f(bounds: fused.types.TileXYZ): return tuple(bounds)")

    assert run(runtime, udf, tile=Tile(3, 4, 5)) == (4, 5, 3)


def test_prints_appear_in_the_cell_as_they_come(
    runtime: KernelRuntime, definition: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the calling thread, in order, each stream in its own."""
    written: list[tuple[str, float, int]] = []

    class Stream:
        def write(self, text: str) -> None:
            written.append((text, time.monotonic(), threading.get_ident()))

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stdout", Stream())
    monkeypatch.setattr(sys, "stderr", Stream())
    run(
        runtime,
        definition("import time, sys\ndef f():\n    print('a')\n    time.sleep(0.3)\n    print('b', file=sys.stderr)"),
    )
    monkeypatch.undo()

    assert [text for text, _, _ in written] == ["a\n", "b\n"]
    assert written[1][1] - written[0][1] > 0.2
    assert {thread for _, _, thread in written} == {threading.get_ident()}


def test_edited_code_answers_for_the_name(runtime: KernelRuntime, definition: Define) -> None:
    """A server is told before `register` returns; the old object gives what it gave."""
    old, new = definition("def edited(): return 1"), definition("def edited(): return 2")
    runtime.register(old)
    runtime.register(new)

    assert names(runtime)["edited"] == new.digest
    assert (run(runtime, old), run(runtime, new)) == (1, 2)


def test_error_of_the_udf_is_raised_here(runtime: KernelRuntime, definition: Define) -> None:
    """With its own line and traceback; what it printed is shown."""
    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError: division by zero") as caught:
        run(runtime, definition("def f():\n    return 1 / 0"))

    assert (caught.value.line, caught.value.udf) == (2, "f")
    assert "<udf f>" in (caught.value.traceback or "")
    assert caught.value.__cause__ is None


def test_name_that_only_the_notebook_has_is_told(runtime: KernelRuntime, definition: Define) -> None:
    """The most usual mistake, in words that name it."""
    runtime.notebook_has = lambda name: name == "gdf"
    try:
        with pytest.raises(UdfRuntimeError, match="'gdf' exists in the notebook .*Bring it in with --use gdf"):
            run(runtime, definition("def f(): return gdf"))
        with pytest.raises(UdfRuntimeError, match="name 'other' is not defined"):
            run(runtime, definition("def f(): return other"))
    finally:
        runtime.notebook_has = lambda _: False


def test_argument_that_cannot_travel_is_named(runtime: KernelRuntime, definition: Define) -> None:
    """Before anything is sent."""
    with pytest.raises(ArgumentError, match=r"cannot travel to a worker \(n=function\)"):
        run(runtime, definition("def f(n): pass"), n=lambda: 1)


def test_object_of_a_class_made_in_the_udf_is_refused(runtime: KernelRuntime, definition: Define) -> None:
    """Nobody else could rebuild it."""
    with pytest.raises(UdfSerializationError, match="return data"):
        run(runtime, definition("class Box: pass\ndef f(): return Box()", name="f"))


def test_crash_costs_only_the_call(runtime: KernelRuntime, definition: Define) -> None:
    """The kernel's runtime goes on with the same host."""
    host = runtime.link.pid
    with pytest.raises(WorkerLostError):
        run(runtime, definition("import os\ndef f(): os._exit(1)"))

    assert run(runtime, definition("def f(): return 1")) == 1
    assert runtime.link.pid == host


def test_much_output_is_shown_and_the_answer_comes(
    runtime: KernelRuntime, definition: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """More than a message's header may hold, in characters of four bytes; also when it comes from the cache."""
    loud = "import sys\ndef f():\n    for out in (sys.stdout, sys.stderr): print(chr(0x1F600) * 1_100_000, file=out)"
    udf = definition(loud)

    for _ in range(2):
        assert run(runtime, udf, age="1h") is None
        printed = capsys.readouterr()
        assert printed.out.count(chr(0x1F600)) == printed.err.count(chr(0x1F600)) == runtime.options.output_limit


def test_cached_result_is_shown_as_if_it_had_run(
    runtime: KernelRuntime, definition: Define, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its prints; the arrays are the caller's own each time."""
    udf = definition("import numpy as np, time\ndef f():\n    print('ran')\n    return np.zeros(3), time.time()")

    first, when = run(runtime, udf, age="1h")
    first[0] = 5
    second, again = run(runtime, udf, age="1h")

    assert when == again
    assert second.tolist() == [0, 0, 0]
    assert capsys.readouterr().out == "ran\nran\n"


def test_many_threads_may_run(runtime: KernelRuntime, definition: Define) -> None:
    """Each gets its own answer."""
    udf = definition("def f(n: int): return n")
    results: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: run(runtime, udf, n=n)})) for n in range(12)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {n: n for n in range(12)}


def test_token_opens_its_udf_until_it_is_revoked(runtime: KernelRuntime, definition: Define) -> None:
    """The host keeps its hash only."""
    runtime.register(definition("def shared(): return 1"))
    token = runtime.grant("shared")
    share = next(iter(runtime._shares))
    assert token.startswith("fsh_")
    assert len(token) > 40

    async def ask(client: Any) -> Any:
        return await client.reply_to(Run(id=client.next_number(), share=share, parameters={}, format="json"))

    assert as_server(runtime, ask)[1] == b"1"
    runtime.revoke(token)
    with pytest.raises(ShareError):
        as_server(runtime, ask)


def test_status_tells_how_the_host_is(runtime: KernelRuntime) -> None:
    """For the doctor and for people."""
    status = runtime.status()

    assert status["pid"] == runtime.link.pid
    assert status["kernel"] == runtime.kernel_id
    assert status["runs"] > 0
    assert set(status["workers"]) == {"idle", "busy", "waiting"}


# -- secrets


def test_secrets_are_in_no_udf(runtime: KernelRuntime, definition: Define) -> None:
    """Tokens of the server, and that of the host's own socket."""
    environment = run(runtime, definition("import os\ndef f(): return dict(os.environ)"))

    assert not {"JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN"} & set(environment)
    assert announcement(runtime).secret not in str(environment)


def test_secret_of_the_host_is_in_its_announcement_only(runtime: KernelRuntime) -> None:
    """Who lists processes does not see it; the log does not have it."""
    said = announcement(runtime)
    host = psutil.Process(said.pid)

    assert stat.S_IMODE(Announcement.path_for(runtime.directory, runtime.kernel_id).stat().st_mode) == 0o600
    for process in (host, *host.children(recursive=True)):
        assert said.secret not in " ".join(process.cmdline())
        assert said.secret not in str(process.environ())
    assert said.secret not in runtime.link.log_path.read_text()
    assert stat.S_IMODE(runtime.link.log_path.stat().st_mode) == 0o600


def test_announcement_is_that_of_the_host(runtime: KernelRuntime) -> None:
    """Process, kernel and session."""
    said = announcement(runtime)

    assert (said.pid, said.kernel_pid, said.kernel_id) == (runtime.link.pid, os.getpid(), runtime.kernel_id)
    assert said.is_alive
    assert os.getsid(said.pid) == said.pid


# -- the host dies


def test_killed_host_is_started_again(runtime: KernelRuntime, definition: Define) -> None:
    """With all that it had: names, old versions, tokens. Nothing of the old one is left."""
    old, new = definition("def kept(): return 'old'"), definition("def kept(): return 'new'")
    for udf in (old, new):
        runtime.register(udf)
    runtime.grant("kept")
    run(runtime, old)
    run(runtime, definition("def never_registered(): return 1"))
    host = psutil.Process(runtime.link.pid)
    family = [host, *host.children(recursive=True)]
    secret = announcement(runtime).secret

    host.kill()
    alive = still_running(family)

    assert [process for process in alive if process.pid != host.pid] == []  # the host waits for its parent to notice
    assert run(runtime, old) == "old"
    assert names(runtime)["kept"] == new.digest
    assert "never_registered" not in names(runtime)
    assert announcement(runtime).pid == runtime.link.pid != host.pid
    assert announcement(runtime).secret != secret
    assert as_server(runtime, lambda client: client.call(Describe(id=1)))[0].shares


def test_host_that_dies_while_a_run_waits_is_told(runtime: KernelRuntime, definition: Define) -> None:
    """The call fails at once; the next one works."""
    host = psutil.Process(runtime.link.pid)
    threading.Timer(0.4, host.kill).start()
    started = time.monotonic()

    with pytest.raises(HostLostError):
        run(runtime, definition("import time\ndef f(): time.sleep(30)"))

    assert time.monotonic() - started < 3
    assert run(runtime, definition("def f(): return 1")) == 1


def test_host_that_does_not_start_shows_its_log(definition: Define, tmp_path: Path) -> None:
    """The reason is there, not in a file that one has to find."""
    (tmp_path / "results").mkdir(mode=0o777)
    (tmp_path / "results").chmod(0o777)
    runtime = KernelRuntime(Options(preload=(), cache_directory=str(tmp_path)))

    with pytest.raises(HostLostError, match="others can write to"):
        run(runtime, definition("def f(): pass"))
    runtime.close()


def test_closed_runtime_says_so(options: Options, definition: Define) -> None:
    """It does not hang, and starts nothing."""
    runtime = KernelRuntime(options)
    assert run(runtime, definition("def f(): return 1")) == 1
    host = psutil.Process(runtime.link.pid)
    family = [host, *host.children(recursive=True)]

    runtime.close()

    assert not still_running(family)
    assert not Announcement.path_for(runtime.directory, runtime.kernel_id).exists()
    assert not Path(options.cache_directory).joinpath("nothing").exists()
    with pytest.raises(HostLostError, match="reload_ext"):
        run(runtime, definition("def f(): return 1"))
    runtime.close()


def test_runtime_that_was_never_used_starts_no_process(options: Options, definition: Define) -> None:
    """Registering alone costs nothing."""
    before = psutil.Process().children()
    runtime = KernelRuntime(options)
    runtime.register(definition("def f(): return 1"))

    assert psutil.Process().children() == before
    runtime.close()


@pytest.mark.parametrize("seconds", [0, 0.05, 0.3])
def test_runtime_that_is_closed_while_its_host_starts_leaves_none(options: Options, seconds: float) -> None:
    """Loaded and unloaded at once."""
    before = set(psutil.Process().children(recursive=True))
    runtime = KernelRuntime(options)
    runtime.start()
    time.sleep(seconds)

    runtime.close()

    left = set(psutil.Process().children(recursive=True)) - before
    assert not still_running(left)


def test_two_kernels_have_two_hosts(runtime: KernelRuntime, options: Options, definition: Define) -> None:
    """And know nothing of each other."""
    other = KernelRuntime(replace(options, workers=1))
    try:
        other.register(definition("def only_here(): return 1"))
        run(other, definition("def f(): return 1"))

        assert other.kernel_id != runtime.kernel_id
        assert other.link.pid != runtime.link.pid
        assert list(names(other)) == ["only_here"]
        assert "only_here" not in names(runtime)
    finally:
        other.close()


# -- the kernel dies, or is interrupted

KERNEL = """
import sys, time, threading
from fused_jupyter.runtime import current
from fused_jupyter.udfs import parse
runtime = current()
udf = parse('''
import os, subprocess
def busy(path):
    child = subprocess.Popen(["sleep", "300"])
    open(path, "w").write(f"{os.getpid()} {child.pid}")
    while True: pass
''')
"""

WAIT = """
run = lambda: runtime.run(udf, {"path": sys.argv[1]}, tile=None, cache_max_age=None)
threading.Thread(target=run, daemon=True).start()
print(runtime.kernel_id, flush=True)
time.sleep(300)
"""

INTERRUPTED = """
print(runtime.kernel_id, flush=True)
try:
    runtime.run(udf, {"path": sys.argv[1]}, tile=None, cache_max_age=None)
except KeyboardInterrupt:
    answer = runtime.run(parse("def f(): return 42"), {}, tile=None, cache_max_age=None)
    print("stopped", answer, runtime.link.pid, flush=True)
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], list[psutil.Process], Path]]]:
    """A Python process that runs a UDF which spins and has a child; with all its processes and its announcement."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> tuple[subprocess.Popen[str], list[psutil.Process], Path]:
        environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path), "FUSED_PRELOAD": ",".join(PRELOAD)}
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", KERNEL + code, str(tmp_path / "pids")],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        assert process.stdout is not None
        kernel_id = process.stdout.readline().strip()
        deadline = time.monotonic() + 15
        while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process, psutil.Process(process.pid).children(recursive=True), tmp_path / f"fused-{kernel_id}.json"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_killed_kernel_leaves_no_process(kernel: Any) -> None:
    """Within 2 s: no host, no template, no worker that spins, no child of a UDF; announcement and socket are gone."""
    process, family, path = kernel(WAIT)
    socket = Path(Announcement.read(path).address)
    assert len(family) >= 4

    process.kill()
    process.wait()

    assert not still_running(family)
    assert not path.exists()
    assert not socket.exists()


def test_kernel_that_ends_leaves_no_process(kernel: Any) -> None:
    """By SIGTERM, as servers do it."""
    process, family, path = kernel(WAIT)

    process.send_signal(signal.SIGTERM)
    process.wait()

    assert not still_running(family)
    assert not path.exists()


def test_interrupt_stops_the_run_and_nothing_else(kernel: Any, tmp_path: Path) -> None:
    """The UDF's process is gone with its child; the host is the same, and the next run works at once."""
    process, family, _ = kernel(INTERRUPTED)
    worker, child = (psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    host = next(one for one in family if "fused_jupyter.runtime.host" in one.cmdline())

    process.send_signal(signal.SIGINT)
    said, answer, pid = process.stdout.readline().split()

    assert (said, answer, int(pid)) == ("stopped", "42", host.pid)
    assert not still_running([worker, child])


def test_interrupt_of_the_group_does_not_reach_the_host(kernel: Any) -> None:
    """Ctrl-C in a terminal goes to all processes of the foreground; the host has a session of its own."""
    _, family, _ = kernel(WAIT)

    assert len({os.getsid(one.pid) for one in family} & {os.getsid(0)}) == 0


def test_cache_on_a_network_file_system_is_told_once(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the notebook, not only in the log of the host."""
    monkeypatch.setattr(folders, "network_file_system", lambda _: "nfs4")
    runtime = KernelRuntime(options)

    def start_twice() -> None:
        runtime.start()
        runtime.status()
        os.kill(runtime.link.pid or 0, signal.SIGKILL)
        while runtime.link.pid:
            time.sleep(0.01)
        runtime.status()

    with pytest.warns(UserWarning, match=r"network file system \(nfs4\)") as told:
        start_twice()
    runtime.close()

    assert len(told) == 1
