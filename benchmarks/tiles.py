"""One tile through the whole way, against a bare Jupyter handler and against TiTiler; ratios from one interleaved run.

    PYTHONPATH=scripts python benchmarks/tiles.py [--rounds 15] [--requests 60]

CPU is that of all processes that serve the request (server, host, workers; or TiTiler's), from the system's own
accounting; wall times are medians over rounds, each round takes every case once.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from real_jupyter import JupyterServer, Kernel, free_port

HERE = Path(__file__).parent
TILE = (10, 163, 395)

UDFS = """
%load_ext fused_jupyter
import os; os.chdir({directory!r})
"""
CONSTANT = """%%fused_udf constant
import numpy as np
@fused.udf
def constant(bounds: fused.types.Bounds = None, n: int = 0):
    rows = np.arange(256, dtype="uint8")
    across, down = np.broadcast_to(rows, (256, 256)), np.broadcast_to(rows[:, None], (256, 256))
    return np.stack([across, down, np.full((256, 256), 9, "uint8")])
"""
COG = """%%fused_udf cog
from rio_tiler.io import Reader
@fused.udf
def cog(tile: fused.types.TileXYZ = None):
    with Reader("dem.tif") as source:
        image = source.tile(tile.x, tile.y, tile.z)
    return (image.array.filled(0)[0] / 16).astype("uint8")
"""
TITILER = """
import uvicorn
from fastapi import FastAPI
from titiler.core.factory import TilerFactory
app = FastAPI()
app.include_router(TilerFactory().router)
uvicorn.run(app, host="127.0.0.1", port={port}, log_level="error", access_log=False)
"""


@dataclass
class Case:
    """One thing that is measured."""

    name: str
    ask: Callable[[int], bytes]
    pids: Callable[[], list[int]]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def round(self, number: int, requests: int) -> None:
        before = cpu_seconds(self.pids())
        for i in range(requests):
            started = time.perf_counter()
            self.ask(number * requests + i)
            self.wall.append(time.perf_counter() - started)
        self.cpu.append((cpu_seconds(self.pids()) - before) / requests)

    @property
    def wall_ms(self) -> float:
        return statistics.median(self.wall) * 1000

    @property
    def cpu_ms(self) -> float:
        return statistics.median(self.cpu) * 1000


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of some processes; one that ended counts no more (none does here)."""
    total = 0.0
    for pid in pids:
        times = psutil.Process(pid).cpu_times()
        total += times.user + times.system
    return total


class Connection:
    """A kept-alive connection that sends the token in a header, as a script does."""

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"token {token}"} if token else {}
        self.timing = 0.0
        self.tag = ""

    def get(self, path: str, *, tag: str = "") -> bytes:
        headers = self._headers | ({"If-None-Match": tag} if tag else {})
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        body = response.read()
        self.tag = response.headers.get("ETag", "")
        if response.status != (304 if tag else 200):
            raise RuntimeError(f"{path}: {response.status} {body[:300]!r}")
        if timing := re.search(r"\brun;dur=([\d.]+)", response.headers.get("Server-Timing", "")):
            self.timing = float(timing[1])
        return body


def write_cog(path: Path) -> None:
    """A float32 elevation-like raster of 4096 x 4096 in EPSG:3857, tiled, with overviews."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:4096, 0:4096].astype("float32") / 4096
    data = (1800 + 900 * np.sin(9 * x) * np.cos(7 * y) + 40 * rng.random((4096, 4096))).astype("float32")
    west, south, east, north = -13640000.0, 4520000.0, -13600000.0, 4560000.0
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "width": 4096, "height": 4096, "crs": "EPSG:3857"}
    profile |= {"transform": from_bounds(west, south, east, north, 4096, 4096), "tiled": True, "blockxsize": 512}
    with rasterio.open(path, "w", **profile, blockysize=512, compress="deflate") as target:
        target.write(data, 1)
        target.build_overviews([2, 4, 8], Resampling.average)


def cases(server: JupyterServer, kernel: Kernel, titiler_port: int, titiler_pid: int, dem: Path) -> list[Case]:
    """All cases over their own connections."""
    z, x, y = TILE
    host = kernel.execute("from fused_jupyter.runtime import current; print(current().link.pid)").check().text.strip()
    ours = Connection(server.port, server.token)
    bare = Connection(server.port, server.token)
    peer = Connection(titiler_port)

    def served_by() -> list[int]:
        children = psutil.Process(int(host)).children(recursive=True)
        return [server.process.pid, int(host), *(child.pid for child in children)]

    warm = f"/fused/run/tiles/constant/{z}/{x}/{y}.png?kernel={kernel.id}"
    size = len(ours.get(warm))
    tag = ours.tag
    tiles = [(12, 654 + i % 4, 1581 + i // 4 % 4) for i in range(16)]
    return [
        Case("bare authenticated JupyterHandler", lambda _: bare.get(f"/bare/{size}"), lambda: [server.process.pid]),
        Case("our warm tile", lambda _: ours.get(warm), served_by),
        Case("our warm tile, not modified (304)", lambda _: ours.get(warm, tag=tag), served_by),
        Case("our cold tile", lambda i: ours.get(f"{warm}&n={i}&cache_max_age=0"), served_by),
        Case(
            "our cold tile of a COG (rio-tiler inside)",
            lambda i: ours.get("/fused/run/tiles/cog/{}/{}/{}.png?cache_max_age=0".format(*tiles[i % 16])),
            served_by,
        ),
        Case(
            "TiTiler, the same tile of the same COG",
            lambda i: peer.get("/tiles/WebMercatorQuad/{}/{}/{}.png?url={}&rescale=0,4080".format(*tiles[i % 16], dem)),
            lambda: [titiler_pid],
        ),
    ]


def overhead_of_cold(connection: Connection) -> float:
    """Median milliseconds of a cold tile beyond the UDF's own time."""
    beyond = []
    for i in range(200):
        started = time.perf_counter()
        connection.get(f"/fused/run/tiles/constant/10/163/395.png?n={10**6 + i}&cache_max_age=0")
        beyond.append((time.perf_counter() - started) * 1000 - connection.timing)
    return statistics.median(beyond)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=60)
    said = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as scratch:
        dem = Path(scratch) / "dem.tif"
        write_cog(dem)
        port = free_port()
        titiler = subprocess.Popen([sys.executable, "-c", TITILER.format(port=port)])
        try:
            with (
                JupyterServer(arguments=("--ServerApp.jpserver_extensions=bare_handler=True",)) as server,
                server.running_kernel() as kernel,
            ):
                kernel.execute(UDFS.format(directory=scratch)).check()
                kernel.execute(CONSTANT).check()
                kernel.execute(COG).check()
                wait_for(port)
                measured = cases(server, kernel, port, titiler.pid, dem)
                for case in measured:
                    case.round(0, 16)  # imports, caches of the system
                    case.wall.clear()
                    case.cpu.clear()
                for number in range(said.rounds):
                    for case in measured:
                        case.round(number + 1, said.requests if "COG" not in case.name else 16)
                beyond = overhead_of_cold(Connection(server.port, server.token))
        finally:
            titiler.kill()
            titiler.wait()
    report(measured, beyond)


def report(measured: list[Case], beyond: float) -> None:
    """The table and the targets."""
    print(f"{'case':<44}{'median ms':>10}{'CPU ms':>9}")
    for case in measured:
        print(f"{case.name:<44}{case.wall_ms:>10.2f}{case.cpu_ms:>9.2f}")
    bare, warm, unmodified, _, ours, peer = measured
    rows = [
        ("warm tile's rate by CPU, of the bare handler's", bare.cpu_ms / warm.cpu_ms, ">=", 0.7),
        ("warm tile's rate by median, of the bare handler's", bare.wall_ms / warm.wall_ms, ">=", 0.7),
        ("304's rate by CPU, of the bare handler's", bare.cpu_ms / unmodified.cpu_ms, ">=", 0.85),
        ("304's rate by median, of the bare handler's", bare.wall_ms / unmodified.wall_ms, ">=", 0.85),
        ("cold tile beyond the UDF's own time, ms", beyond, "<=", 3.0),
        ("COG tile's CPU, of TiTiler's", ours.cpu_ms / peer.cpu_ms, "<=", 1.0),
        ("COG tile's median, of TiTiler's", ours.wall_ms / peer.wall_ms, "<=", 1.0),
    ]
    print()
    for name, value, sign, target in rows:
        met = value >= target if sign == ">=" else value <= target
        print(f"{name:<52}{value:>7.2f}   target {sign} {target:<5} {'met' if met else 'MISSED'}")


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nobody listens on {port}")


if __name__ == "__main__":
    main()
