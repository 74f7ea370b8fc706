"""kill -9 of each of our processes at random moments, while requests are on their way. `make kills`."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import math
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
from processes import command_of, still_running
from real_jupyter import JupyterServer, Kernel, eventually

from fused_jupyter.caching import ResultCache
from fused_jupyter.caching.kept import KeptValues
from fused_jupyter.wire.announcement import announcements

VICTIMS = ("worker", "template", "host", "kernel", "server")
ORPHAN_SECONDS = 2.0
HEALING_SECONDS = 20.0
"""Within which the next request has to work; a Jupyter server looks every 3 s whether a kernel died."""
DEADLINE = 60.0
"""Of any request."""

EXPECTED = {
    "worker": {"WorkerLostError"},
    "template": {"WorkerLostError"},
    "host": {"HostLostError"},
    "kernel": {"HostLostError", "UnknownUdfError"},
    "server": {"disconnected", "HostLostError", "UnknownUdfError", "AccessError"},
}
"""What may become of requests that are on their way, or come before all is well again. Others get their answer."""

_MODULES = {"host": "fused_jupyter.runtime.host", "template": "fused_jupyter.engines.template"}

CELL = """
import hashlib
@fused.cache
def noise(n):
    return b"".join(hashlib.sha256(f"{n} {i}".encode()).digest() for i in range(8000))
@fused.udf
def kept(n: int = 0):
    return noise(n)
"""
BURNING_CELL = """
def burning():
    import subprocess
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    while True:
        pass
"""
SETTINGS = {
    "FUSED_WORKERS": "3",
    "FUSED_PRELOAD": "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api",
}


def noise(n: int) -> bytes:
    """What `kept` gives."""
    return b"".join(hashlib.sha256(f"{n} {i}".encode()).digest() for i in range(8000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request."""

    began: float
    ended: float
    said: str
    """`ok`, or what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One kill."""

    victim: str
    processes: int
    """That had to go with it."""
    healed: float
    """Seconds from the kill to the first right answer."""
    said: Counter[str]
    """What became of the requests meanwhile."""


class Scene:
    """A server, a kernel and clients, whose processes are killed and come again."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._scratch = tempfile.TemporaryDirectory(prefix="fused-kills-")
        self.home = Path(self._scratch.name)
        (self.home / "tmp").mkdir()
        self.server = self._new_server()
        try:
            self.kernel = self._new_kernel()
        except BaseException:
            self.server.close()
            raise
        self.clients = Clients(self)

    @property
    def url(self) -> str:
        """Where the UDF is."""
        return f"fused/run/file/kept.bin?kernel={self.kernel.id}"

    @property
    def cache(self) -> Path:
        """Where results are kept."""
        return self.home / "cache"

    def close(self) -> None:
        """End all."""
        self.clients.stop()
        self.kernel.client.stop_channels()
        self.server.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def kill(self, victim: str) -> Round:
        """Kill one, and see that nothing is left, nothing is broken and all goes on.

        Raises:
            AssertionError: it does not.
        """
        with self._burning():
            self.clients.start()
            time.sleep(self.rng.uniform(0.0, 0.4))
            families = self._families()
            family = families[victim]
            began = time.monotonic()
            family[0].kill()
            if victim == "server":
                family = self._end_of_kernels(families["kernel"])
            family += self._kill_next(victim)
            left = still_running(family, seconds=ORPHAN_SECONDS)
            assert not left, f"after kill -9 of the {victim} these run on: {left}"
            getattr(self, f"_heal_{victim}", lambda: None)()
            healed = self._wait_for_answer() - began
        outcomes = self.clients.stop()
        meanwhile = [one for one in outcomes if one.ended >= began and one.began <= began + healed]
        self._check(outcomes, meanwhile, allowed=EXPECTED[victim])
        self._check_cache()
        self._check_places()
        return Round(victim=victim, processes=len(family), healed=healed, said=Counter(one.said for one in meanwhile))

    # -- killing

    def _families(self) -> dict[str, list[psutil.Process]]:
        """Each victim and the processes that live only with it."""
        status = self.kernel.status()
        host = psutil.Process(status["pid"])
        template = next(child for child in host.children() if _MODULES["template"] in command_of(child))
        worker = psutil.Process(self.rng.choice(status["worker_pids"]))
        kernel = host.parent()
        assert kernel is not None
        heads = {"worker": worker, "template": template, "host": host, "kernel": kernel}
        families = {name: [head, *head.children(recursive=True)] for name, head in heads.items()}
        return families | {"server": [psutil.Process(self.server.process.pid)]}

    def _kill_next(self, victim: str) -> list[psutil.Process]:
        """Now and then, the one that takes the victim's place too, while it starts."""
        if victim not in {"host", "template"} or self.rng.random() < 0.5:
            return []
        time.sleep(self.rng.uniform(0.0, 0.8))
        killed = []
        for process in psutil.Process(self.server.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if _MODULES[victim] in command_of(process):
                    family = [process, *process.children(recursive=True)]
                    process.kill()
                    killed += family
        return killed

    def _end_of_kernels(self, family: list[psutil.Process]) -> list[psutil.Process]:
        """Kernels end by Jupyter's own rule when their server dies, some seconds later; ours follow them."""
        self.server.process.wait()
        if still_running(family[:1], seconds=10):
            family[0].kill()
        return family

    @contextlib.contextmanager
    def _burning(self) -> Iterator[None]:
        """Meanwhile one worker spins, and has a child in a session of its own."""
        request = socket.create_connection(("127.0.0.1", self.server.port))
        lines = [
            f"GET /fused/run/file/burning?kernel={self.kernel.id} HTTP/1.1",
            f"Host: 127.0.0.1:{self.server.port}",
            f"Authorization: token {self.server.token}",
        ]
        request.sendall("\r\n".join([*lines, "", ""]).encode())
        with request:
            host = psutil.Process(self.kernel.status()["pid"])
            eventually(lambda: bool(_sleeping(host)))
            sleeping = _sleeping(host)
            yield
        left = still_running(sleeping, seconds=ORPHAN_SECONDS)
        assert not left, f"nobody waits for it any more, and it runs on: {left}"

    # -- healing; what is not here heals by itself

    def _heal_kernel(self) -> None:
        """The server starts it anew; the user runs the cells again."""
        eventually(self._has_kernel, timeout=HEALING_SECONDS)
        self.kernel.reconnect()
        self._run_cells(self.kernel)

    def _has_kernel(self) -> bool:
        children = psutil.Process(self.server.process.pid).children()
        return any("ipykernel" in command_of(child) for child in children)

    def _heal_server(self) -> None:
        """The user starts another one, and the notebook gets another kernel."""
        self.kernel.client.stop_channels()
        self.server.close()
        self.server = self._new_server()
        self.kernel = self._new_kernel()

    def _new_server(self) -> JupyterServer:
        environment = {"FUSED_CACHE_DIRECTORY": str(self.home / "cache"), "TMPDIR": str(self.home / "tmp"), **SETTINGS}
        return JupyterServer(home=self.home, environment=environment)

    def _new_kernel(self) -> Kernel:
        kernel = self.server.kernel()
        self._run_cells(kernel)
        return kernel

    def _run_cells(self, kernel: Kernel) -> None:
        kernel.define(CELL)
        kernel.define(BURNING_CELL)

    def _wait_for_answer(self) -> float:
        """When the next request was answered; those before it were told to come again."""
        until = time.monotonic() + HEALING_SECONDS
        while True:
            answer = self.server.get(f"{self.url}&n=-1", timeout=DEADLINE)
            if answer.status == 200:
                assert answer.body == noise(-1)
                return time.monotonic()
            assert answer.status == 503, f"{answer.status}: {answer.body!r}"
            assert "Retry-After" in answer.headers
            assert time.monotonic() < until, f"after {HEALING_SECONDS} s still {answer.body!r}"
            time.sleep(0.05)

    # -- looking

    def _check(self, outcomes: list[Outcome], meanwhile: list[Outcome], *, allowed: set[str]) -> None:
        slow = [one for one in outcomes if one.ended - one.began > DEADLINE]
        assert not slow, f"requests without an answer: {slow}"
        others = [one for one in outcomes if one not in meanwhile and one.said != "ok"]
        assert not others, f"these were not concerned: {others}"
        wrong = {one.said for one in meanwhile} - {"ok"} - allowed
        assert not wrong, f"the requests on their way were told {wrong}"

    def _check_cache(self) -> None:
        """Every file is whole; what dead writers left is swept, once it is old enough."""
        results = ResultCache(self.cache, memory_size=0, disk_size=1 << 40)
        for path in self.cache.glob("results/*/*"):
            if path.suffix != ".tmp":
                assert results.on_disk(path.name, max_age=math.inf) is not None or not path.exists(), f"broken: {path}"
        values = KeptValues(self.cache, size=1 << 40)
        for path in self.cache.glob("functions/*/*/*"):
            if path.suffix != ".tmp":
                kept = values.read(path.parent.parent.name, path.name, oldest=0)
                assert kept is not None or not path.exists(), f"broken: {path}"
        for draft in (*self.cache.glob("results/*/*.tmp"), *self.cache.glob("functions/*/*/*.tmp")):
            with contextlib.suppress(FileNotFoundError):  # its writer lives
                os.utime(draft, (time.time() - 7200,) * 2)
        results.evict()
        values.evict()
        assert not [*self.cache.glob("results/*/*.tmp"), *self.cache.glob("functions/*/*/*.tmp")]

    def _check_places(self) -> None:
        """Sockets and announcements are those of the hosts that live."""
        host = self.kernel.status()["pid"]

        def are_ours() -> bool:
            sockets = [path.name.split("-")[1] for path in (self.home / "tmp").glob("fused-*")]
            announced = [announcement.pid for _, announcement in announcements(self.server.runtime_directory)]
            return sockets == [str(host)] and announced == [host]

        eventually(are_ours, timeout=5)


def _sleeping(host: psutil.Process) -> list[psutil.Process]:
    return [process for process in host.children(recursive=True) if command_of(process) == "sleep 600"]


@dataclass(slots=True)
class Clients:
    """Four who ask without a pause, half of the time for what was asked before."""

    scene: Scene
    outcomes: list[Outcome] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to ask."""
        self.stopping.clear()
        self.outcomes = []
        seeds = [self.scene.rng.random() for _ in range(4)]
        self.threads = [threading.Thread(target=self._ask, args=(random.Random(seed),)) for seed in seeds]
        for thread in self.threads:
            thread.start()

    def stop(self) -> list[Outcome]:
        """Have them end; gives what they were told."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.threads = []
        return self.outcomes

    def _ask(self, rng: random.Random) -> None:
        while not self.stopping.is_set():
            n = rng.choice([rng.randrange(20), rng.randrange(1 << 40)])
            began = time.monotonic()
            said = self._outcome(n)
            self.outcomes.append(Outcome(began=began, ended=time.monotonic(), said=said))
            if said != "ok":
                time.sleep(0.05)

    def _outcome(self, n: int) -> str:
        try:
            answer = self.scene.server.get(f"{self.scene.url}&n={n}", timeout=DEADLINE)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
            return "disconnected"
        if answer.status == 200:
            return "ok" if answer.body == noise(n) else f"wrong bytes for n={n}"
        with contextlib.suppress(ValueError, KeyError):
            return str(answer.json()["type"])
        return f"status {answer.status}"


def main() -> int:
    """Kill each so many times, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended all the same
    print(f"{given.rounds} x kill -9 of {', '.join(VICTIMS)}; seed {given.seed}")
    victims = list(VICTIMS) * given.rounds
    random.Random(given.seed).shuffle(victims)
    try:
        with Scene(given.seed) as scene:
            rounds = [_shown(scene.kill(victim)) for victim in victims]
    except AssertionError as exc:
        print(f"FAILED, repeat with --seed {given.seed}: {exc}")
        return 1
    print(f"\n{'':10}{'kills':>7}{'gone with it':>14}{'healed after: median':>22}{'longest':>10}")
    for victim in VICTIMS:
        of_it = [one for one in rounds if one.victim == victim]
        healed = sorted(one.healed for one in of_it)
        gone = sum(one.processes for one in of_it)
        print(f"{victim:10}{len(of_it):>7}{gone:>14}{healed[len(healed) // 2]:>20.2f} s{healed[-1]:>8.2f} s")
    return 0


def _shown(one: Round) -> Round:
    said = ", ".join(f"{count} {what}" for what, count in one.said.most_common())
    print(f"  {one.victim:9} {one.processes:2} processes gone, healed after {one.healed:5.2f} s; {said}", flush=True)
    return one


if __name__ == "__main__":
    sys.exit(main())
