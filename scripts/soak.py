"""Eight clients, three kernels, all that can go wrong, and every answer checked. `make soak`.

Rasters, vector tiles, files, `fused.run` from threads of the notebooks, cached and not, ranges, bad input, crashes,
timeouts, closed connections, tokens, and cells that are run again meanwhile. In the end nothing may have grown beyond
the bounds of `soak_growth`. What each client asks follows from the seed; when it asks does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from processes import still_running
from real_jupyter import JupyterServer, Kernel
from soak_cases import CASES, NEEDS_GEO, TILE_SECONDS, Case, Client, Target, Timeline
from soak_growth import BOUNDS, SETTINGS, Census, excesses, take
from soak_udfs import EDITED, FIXED, GEO_EDITED, GO_ON, IN_KERNEL, PAUSE, REPORT

VERSIONS = 6
"""Each cell takes one of so many forms: now and then it comes back to one whose results are kept."""
QUICK = {"FUSED_PRELOAD": "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api"}
KERNELS: tuple[dict[str, str], ...] = (QUICK, QUICK, {})
"""Settings of each: two that start fast and have the same cells and one cache, and one with the geo stack."""
LIMITS = {"FUSED_TILE_TIMEOUT": str(TILE_SECONDS), "FUSED_FILE_TIMEOUT": "20", "FUSED_MEMORY_LIMIT": "700000000"}
ENOUGH = 30
"""Failures after which no more are needed."""
FROM_LOGS = (
    "Traceback (most recent call last)",
    "was never retrieved",
    "was destroyed but it is pending",
    "never awaited",
)


@dataclass(slots=True)
class Soak:
    """One run of the test."""

    server: JupyterServer
    home: Path
    seed: int
    kernels: list[Kernel] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    census: list[Census] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    edits: int = 0
    started: float = field(default_factory=time.monotonic)

    def fail(self, text: str) -> None:
        """Note what is wrong."""
        self.failures.append(text)
        print(f"  WRONG after {time.monotonic() - self.started:.0f} s: {text}", flush=True)

    # -- before

    async def start_kernel(self, settings: dict[str, str]) -> None:
        """Define all cells in a new kernel, and start its own threads that run UDFs."""
        number, has_geo = len(self.kernels), not settings
        kernel = await asyncio.to_thread(self.server.kernel)
        self.kernels.append(kernel)
        cells = GEO_EDITED if has_geo else EDITED
        target = Target(kernel.id, has_geo=has_geo, timelines={name: Timeline() for name in cells})
        await in_kernel(kernel, f"import os; os.environ.update({settings!r})")
        for name in cells:
            await self.edit(kernel, target, name, version=0)
        for cell in FIXED:
            await asyncio.to_thread(kernel.define, cell)
        await self.renew_token(kernel, target)
        await in_kernel(kernel, IN_KERNEL.replace("SEED", f"{self.seed}/{number}").replace("THREADS", "2"))
        self.targets.append(target)

    async def warm_up(self) -> None:
        """Everything once, in each kernel."""
        for target in self.targets:
            for case in CASES:
                await self._try(self.clients[0], case, target)

    # -- meanwhile

    async def ask_for(self, seconds: float) -> None:
        """All clients, all threads in the kernels, and edits."""
        until = time.monotonic() + seconds
        await asyncio.gather(*(in_kernel(kernel, GO_ON) for kernel in self.kernels))
        editors = [
            self._keep_editing(kernel, target, until=until, rng=random.Random(f"{self.seed}/{target.kernel}/{seconds}"))
            for kernel, target in zip(self.kernels, self.targets, strict=True)
        ]
        await asyncio.gather(*(self._keep_asking(client, until=until) for client in self.clients), *editors)
        rested = await asyncio.gather(*(in_kernel(kernel, PAUSE) for kernel in self.kernels))
        if set(rested) != {"True"}:
            self.fail("a fused.run in a kernel did not end within 60 s")

    async def count(self) -> None:
        """Wait until all is at rest, and look at what there is."""
        until = time.monotonic() + 20
        while True:
            await asyncio.sleep(1.5)  # leased workers go back after a second
            states = [await asyncio.to_thread(kernel.status) for kernel in self.kernels]
            loads = [state["workers"] for state in states]
            if not any(load["busy"] or load["waiting"] for load in loads):
                break
            if time.monotonic() > until:
                active = [state.get("active") for state in states]
                self.fail(f"nobody asks any more, and the hosts are at work: {loads}, {active}")
                break
        workers = {pid for state in states for pid in state["worker_pids"]}
        seconds = round(time.monotonic() - self.started, 1)
        pid = self.server.process.pid
        self.census.append(await asyncio.to_thread(take, pid, workers=workers, home=self.home, seconds=seconds))
        for text in excesses(self.census[0], self.census[-1]):
            self.fail(text)

    async def _keep_asking(self, client: Client, *, until: float) -> None:
        while time.monotonic() < until and len(self.failures) < ENOUGH:
            case = client.rng.choices(list(CASES), list(CASES.values()))[0]
            await self._try(client, case, client.rng.choice(self.targets))
            await asyncio.sleep(client.rng.uniform(0, 0.03))

    async def _try(self, client: Client, case: Case, target: Target) -> None:
        if case in NEEDS_GEO and not target.has_geo:
            target = next(each for each in self.targets if each.has_geo)
        client.kind, client.target = case.__name__, target
        try:
            await case(client)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong is what we look for
            self.fail(f"{case.__name__}, kernel {self.targets.index(target)}: {type(exc).__name__}: {exc}")

    async def _keep_editing(self, kernel: Kernel, target: Target, *, until: float, rng: random.Random) -> None:
        while time.monotonic() < until and len(self.failures) < ENOUGH:
            await asyncio.sleep(rng.uniform(0.2, 2.5))
            try:
                await self.edit(kernel, target, rng.choice(list(target.timelines)), version=rng.randrange(VERSIONS))
                if rng.random() < 0.2:
                    await self.renew_token(kernel, target)
                if rng.random() < 0.1:
                    await asyncio.to_thread(press_stop, kernel, rng.uniform(0, 0.5))
            except Exception as exc:  # noqa: BLE001 - the same
                self.fail(f"a cell of kernel {self.targets.index(target)}: {type(exc).__name__}: {exc}")

    async def edit(self, kernel: Kernel, target: Target, name: str, *, version: int) -> None:
        """Run a cell again with another constant."""
        self.edits += 1
        target.timelines[name].begin(version)
        await asyncio.to_thread(kernel.define, GEO_EDITED[name].format(version=version))
        target.timelines[name].end()

    async def renew_token(self, kernel: Kernel, target: Target) -> None:
        """Give out another token, then take the last one back."""
        current = "from fused_jupyter.runtime import current; "
        token = await in_kernel(kernel, f"{current}print(current().grant('soak_raster'))")
        target.tokens.append((token, time.monotonic()))
        if len(target.tokens) > 1:
            old, _ = target.tokens.pop(0)
            await in_kernel(kernel, f"{current}current().revoke({old!r})")
            target.revoked[:] = [old]

    # -- after

    async def seconds(self) -> dict[str, list[float]]:
        """How long each kind took, also in the kernels; what was wrong there is noted."""
        found: dict[str, list[float]] = {}
        said = [json.loads(await in_kernel(kernel, REPORT)) for kernel in self.kernels]
        for one in said:
            for text in one["wrong"]:
                self.fail(text)
        for kinds in [client.seconds for client in self.clients] + [kind for one in said for kind in one["seconds"]]:
            for kind, seconds in kinds.items():
                found.setdefault(kind, []).extend(seconds)
        return found

    def look_at_logs(self) -> None:
        """Nothing of ours failed behind the scenes."""
        for path in (self.server.log_path, *self.server.runtime_directory.glob("fused-*.log")):
            text = path.read_text(errors="replace")
            for sign in FROM_LOGS:
                if sign in text:
                    at = text.index(sign)
                    self.fail(f"{path.name} has {sign!r}: {text[max(0, at - 200) : at + 1500]}")

    def close(self) -> None:
        """End all, and see that nothing is left."""
        process = psutil.Process(self.server.process.pid)
        family = [process, *process.children(recursive=True)]
        for kernel in self.kernels:
            kernel.client.stop_channels()
        self.server.close()
        if left := still_running(family, seconds=5):
            self.fail(f"these run on after the server: {left}")
        left_behind = [*self.home.glob("tmp/fused-*"), *self.home.glob("runtime/fused-*.json")]
        if left_behind:
            self.fail(f"these files are left: {left_behind}")


async def in_kernel(kernel: Kernel, code: str) -> str:
    """Run a cell, which must succeed; gives what it printed."""
    result = await asyncio.to_thread(kernel.execute, code)
    return result.check().text.strip()


def press_stop(kernel: Kernel, seconds: float) -> None:
    """Interrupt a cell that waits for a UDF.

    Raises:
        AssertionError: it did not end by that.
    """
    cell = kernel.start("print('begun'); fused.run(soak_sleeps, seconds=15.0, n=1)")
    kernel.wait_for_text(cell, "begun")
    time.sleep(seconds)
    kernel.interrupt()
    result = kernel.result(cell, timeout=10)
    name = result.error["ename"] if result.error else None
    if name != "KeyboardInterrupt":
        raise AssertionError(f"an interrupted cell should have raised KeyboardInterrupt, not {name}: {result}")


@contextlib.contextmanager
def started_server() -> Iterator[tuple[JupyterServer, Path]]:
    """A server with a home and a directory for temporary files of its own."""
    with tempfile.TemporaryDirectory(prefix="fused-soak-") as scratch:
        home = Path(scratch)
        (home / "tmp").mkdir()
        places = {"TMPDIR": str(home / "tmp"), "FUSED_MOUNT_DIRECTORY": str(home / "mount")}
        server = JupyterServer(home=home, environment={**SETTINGS, **LIMITS, **places})
        yield server, home


@contextlib.asynccontextmanager
async def connected(soak: Soak, count: int) -> AsyncIterator[None]:
    """The clients, each with connections of its own."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)))
            rng = random.Random(f"{soak.seed}/{number}")
            soak.clients.append(
                Client(session, root=soak.server.root, token=soak.server.token, rng=rng, targets=soak.targets)
            )
        yield


async def run(soak: Soak, *, seconds: float, clients: int) -> dict[str, list[float]]:
    """The whole test; gives how long each kind of request took."""
    async with connected(soak, clients):
        for settings in KERNELS:
            await soak.start_kernel(settings)
        await soak.warm_up()
        until = time.monotonic() + seconds
        await soak.ask_for(max(5.0, seconds * 0.15))
        await soak.count()
        print(f"{'warm':>7} {line_of(soak.census[0])}", flush=True)
        while (left := until - time.monotonic()) > 2 and len(soak.failures) < ENOUGH:
            await soak.ask_for(min(60.0, left))
            await soak.count()
            print(f"{soak.census[-1].seconds:>5.0f} s {line_of(soak.census[-1])}", flush=True)
        return await soak.seconds()


def line_of(census: Census) -> str:
    """A census in one line."""
    roles = ("server", "kernel", "host", "template", "worker")
    processes, memory, descriptors = census.processes, census.memory, census.descriptors
    parts = [
        f"{processes.get(role, 0)} {role} {memory.get(role, 0):.0f} MB {descriptors.get(role, 0)} fd" for role in roles
    ]
    return "; ".join([*parts, f"{len(census.temporary)} temporary files, {census.drafts} drafts"])


def report_of(soak: Soak, seconds: dict[str, list[float]], *, whole: float) -> dict[str, Any]:
    """All numbers, for people and programs."""
    kinds = {
        kind: {"count": len(times), "p50_ms": _quantile(times, 0.5), "p95_ms": _quantile(times, 0.95)}
        for kind, times in sorted(seconds.items())
    }
    count = sum(len(times) for times in seconds.values())
    return {
        "seed": soak.seed,
        "passed": not soak.failures,
        "seconds": round(whole, 1),
        "processors": os.cpu_count(),
        "answers": count,
        "answers_per_second": round(count / whole, 1),
        "edits": soak.edits,
        "kinds": kinds,
        "bounds": {what: {"growth": bound, "because": why} for what, (bound, why) in BOUNDS.items()},
        "census": [census.to_json() for census in soak.census],
        "failures": soak.failures,
    }


def show(report: dict[str, Any]) -> None:
    """The main numbers."""
    print(f"\n{'':18}{'answers':>9}{'p50 ms':>9}{'p95 ms':>9}")
    for kind, numbers in report["kinds"].items():
        print(f"{kind:18}{numbers['count']:>9,}{numbers['p50_ms']:>9.1f}{numbers['p95_ms']:>9.1f}")
    print(
        f"{report['answers']:,} answers in {report['seconds']:.0f} s ({report['answers_per_second']:.0f} a second, "
        f"{report['processors']} processors), {report['edits']} edits, {len(report['failures'])} failures"
    )
    if not report["passed"]:
        print(f"FAILED; the same requests again: make soak SEED={report['seed']}")


def _quantile(times: list[float], share: float) -> float:
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000, 1)


def main() -> int:
    """Run it; 0 if all was well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--report", type=Path, help="a file for all numbers, as JSON")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended all the same
    print(f"{given.clients} clients, {len(KERNELS)} kernels, {given.seconds:g} s, seed {given.seed}", flush=True)
    with started_server() as (server, home):
        soak = Soak(server, home=home, seed=given.seed)
        began = time.monotonic()
        try:
            seconds = asyncio.run(run(soak, seconds=given.seconds, clients=given.clients))
            soak.look_at_logs()
        finally:
            soak.close()
        report = report_of(soak, seconds, whole=time.monotonic() - began)
    show(report)
    if given.report is not None:
        given.report.write_text(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
