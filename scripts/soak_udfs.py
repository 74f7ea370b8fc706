"""The UDFs of the soak test, and what each has to answer, computed without any of our code."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

VALUE = """
VERSION = {version}
@fused.udf
def soak_value(n: int = 0, word: str = ""):
    import hashlib
    print("n is", n)
    text = f"{{VERSION}} {{n}} {{word}}"
    return {{"version": VERSION, "n": n, "digest": hashlib.sha256(text.encode()).hexdigest()}}
"""

RASTER = """
VERSION = {version}
@fused.udf
def soak_raster(tile: fused.types.TileXYZ = None, n: int = 0):
    import numpy as np
    z, x, y = (tile.z, tile.x, tile.y) if tile else (0, 0, 0)
    start = VERSION * 1009 + z * 101 + x * 31 + y * 17 + n
    rows = np.arange(start, start + 65536, dtype="int64").reshape(256, 256)
    return np.stack([(rows * factor % 251).astype("uint8") for factor in (3, 5, 7)])
"""

TABLE = """
VERSION = {version}
@fused.udf
def soak_table(n: int = 0):
    import pandas as pd
    rows = range(200)
    return pd.DataFrame({{
        "row": list(rows),
        "value": [(row * n + VERSION) % 997 for row in rows],
        "half": [(row + VERSION) / 2 for row in rows],
        "name": [f"{{n}}-{{row}}" for row in rows],
    }})
"""

PLACES = """
VERSION = {version}
import math
@fused.udf
def soak_places(tile: fused.types.TileXYZ = None, n: int = 0):
    import geopandas as gpd, shapely
    z, x, y = (tile.z, tile.x, tile.y) if tile else (0, 0, 0)
    steps = [(i + 0.5) / 10 for i in range(10)]
    longitudes = [(x + step) / 2**z * 360 - 180 for step in steps]
    latitudes = [math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * (y + step) / 2**z)))) for step in steps]
    return gpd.GeoDataFrame(
        {{"i": list(range(10)), "value": [VERSION * 1000 + n + i for i in range(10)]}},
        geometry=shapely.points(longitudes, latitudes), crs=4326,
    )
"""

BYTES = """
VERSION = {version}
import hashlib
@fused.cache
def block(version, n):
    return b"".join(hashlib.sha256(f"{{version}} {{n}} {{i}}".encode()).digest() for i in range(4000))
@fused.udf
def soak_bytes(n: int = 0):
    return block(VERSION, n)
"""

EDITED = {"soak_value": VALUE, "soak_raster": RASTER, "soak_table": TABLE, "soak_bytes": BYTES}
"""By name; their cells are run again with another constant while requests fly."""
GEO_EDITED = {**EDITED, "soak_places": PLACES}
"""The same, and what needs the geo stack."""

_FIXED = """
@fused.udf
def soak_once(n: int = 0):
    import os, time
    time.sleep(0.05)
    return os.urandom(16).hex()

@@@
@fused.udf
def soak_raises(n: int = 0):
    raise ValueError(f"wanted {n}")

@@@
@fused.udf
def soak_dies(how: str, n: int = 0):
    import ctypes, os, subprocess
    subprocess.Popen(["sleep", "300"], start_new_session=n % 2 == 0)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(3)
    os.kill(os.getpid(), 9)

@@@
@fused.udf
def soak_sleeps(seconds: float = 0.2, n: int = 0, burn: bool = False):
    import time
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0 if burn else 0.01)
    return n

@@@
@fused.udf
def soak_hogs(megabytes: int = 2000):
    import time
    held = [bytearray(b"1" * (1 << 20)) for _ in range(megabytes)]
    time.sleep(15)  # memory is looked at now and then; a machine that is busy elsewhere looks late
    return len(held)

@@@
@fused.udf
def soak_nests(n: int = 0):
    @fused.udf
    def inner(m: int):
        return m * m
    return fused.run(inner, m=n) + 1

@@@
@fused.udf
def soak_array(n: int = 0, given=None):
    import numpy as np
    rows = np.full((300, 400), n, dtype="int32")
    return rows if given is None else rows + given

@@@
@fused.udf
def soak_spawns(n: int = 0):
    import concurrent.futures, multiprocessing, subprocess, sys, threading
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        squares = sum(pool.map(lambda i: i * i, range(10)))
    said = subprocess.run([sys.executable, "-S", "-c", f"print({n} * 2)"], capture_output=True, text=True, check=True)
    return squares + int(said.stdout)
"""
FIXED = _FIXED.split("@@@")
"""Cells that stay as they are."""

IN_KERNEL = '''
import hashlib, json, random, re, threading, time
import numpy as np
import fused_jupyter as fused
from fused_jupyter.errors import FusedError, UdfRuntimeError, UdfTimeoutError, WorkerLostError

class SoakThread(threading.Thread):
    """Runs UDFs by `fused.run`, and checks what it gets."""

    def __init__(self, seed):
        super().__init__(daemon=True)
        self.rng, self.seconds, self.wrong = random.Random(seed), {}, []
        self.going, self.resting, self.ended = threading.Event(), threading.Event(), False

    def run(self):
        cases = {"value": 8, "by_name": 4, "array": 4, "kept": 4, "nests": 1}
        cases |= {"raises": 1, "dies": 0.4, "times_out": 0.1}
        while not self.ended:
            if not self.going.is_set():
                self.resting.set()
                time.sleep(0.02)
                continue
            self.resting.clear()
            kind = self.rng.choices(list(cases), list(cases.values()))[0]
            started = time.perf_counter()
            try:
                getattr(self, kind)(self.rng.randrange(1 << 30))
            except BaseException as exc:
                self.wrong.append(f"python {kind}: {type(exc).__name__}: {exc}")
            self.seconds.setdefault(f"python {kind}", []).append(time.perf_counter() - started)
            time.sleep(self.rng.uniform(0, 0.1))

    def value(self, n, udf=None, **options):
        udf = udf or soak_value
        version = int(re.search(r"VERSION = (\\d+)", udf.code)[1])
        found = fused.run(udf, n=n, verbose=False, **options)
        assert found == {"version": version, "n": n, "digest": digest(version, n)}, (version, found)

    def kept(self, n):
        self.value(n % 20, cache_max_age="1h")

    def by_name(self, n):
        found = fused.run("soak_value", n=n, verbose=False)
        assert found == {"version": found["version"], "n": n, "digest": digest(found["version"], n)}, found

    def array(self, n):
        given = np.arange(400, dtype="int32")
        found = fused.run(soak_array, n=n % 1000, given=given, verbose=False)
        assert found.shape == (300, 400) and (found == n % 1000 + given).all()
        found += 1

    def nests(self, n):
        assert fused.run(soak_nests, n=n % 1000, verbose=False) == (n % 1000) ** 2 + 1

    def raises(self, n):
        self.expect(UdfRuntimeError, f"ValueError: wanted {n}", soak_raises, n=n)

    def dies(self, n):
        self.expect(WorkerLostError, "soak_dies", soak_dies, how=("segfault", "exit", "kill")[n % 3], n=n)

    def times_out(self, n):
        self.expect(UdfTimeoutError, "longer than", soak_sleeps, seconds=60.0, n=n, x=0, y=0, z=0)

    def expect(self, kind, text, udf, **arguments):
        try:
            found = fused.run(udf, verbose=False, **arguments)
        except FusedError as exc:
            assert isinstance(exc, kind) and text in exc.message, f"{type(exc).__name__}: {exc}"
        else:
            raise AssertionError(f"no error came, but {found!r}")

def digest(version, n):
    return hashlib.sha256(f"{version} {n} ".encode()).hexdigest()

soak_threads = [SoakThread(f"SEED/{i}") for i in range(THREADS)]
for thread in soak_threads:
    thread.start()
'''

PAUSE = """
for thread in soak_threads:
    thread.going.clear(); thread.resting.clear()
print(all([thread.resting.wait(60) for thread in soak_threads]))
"""
GO_ON = "for thread in soak_threads: thread.going.set()"
REPORT = """
print(json.dumps({
    "wrong": [text for thread in soak_threads for text in thread.wrong],
    "seconds": [thread.seconds for thread in soak_threads],
}))
for thread in soak_threads: thread.ended = True
"""


def value_of(version: int, n: int, word: str) -> dict[str, Any]:
    """What `soak_value` gives."""
    return {"version": version, "n": n, "digest": hashlib.sha256(f"{version} {n} {word}".encode()).hexdigest()}


def raster_of(version: int, tile: tuple[int, int, int], n: int) -> NDArray[np.uint8]:
    """What `soak_raster` gives, shape (3, 256, 256)."""
    z, x, y = tile
    cells = np.add.outer(np.arange(256) * 256, np.arange(256)) + version * 1009 + z * 101 + x * 31 + y * 17 + n
    return np.stack([np.mod(cells * factor, 251).astype(np.uint8) for factor in (3, 5, 7)])


def table_of(version: int, n: int) -> pd.DataFrame:
    """What `soak_table` gives."""
    row = np.arange(200)
    return pd.DataFrame(
        {"row": row, "value": (row * n + version) % 997, "half": (row + version) / 2, "name": [f"{n}-{i}" for i in row]}
    )


def places_of(version: int, n: int) -> list[int]:
    """The values of the ten points of `soak_places`."""
    return [version * 1000 + n + i for i in range(10)]


def place_of(tile: tuple[int, int, int], i: int) -> tuple[float, float]:
    """Longitude and latitude of a point of `soak_places`: on the diagonal of its tile."""
    z, x, y = tile
    step = (i + 0.5) / 10
    mercator = math.pi - 2 * math.pi * (y + step) / 2**z
    return (x + step) / 2**z * 360 - 180, math.degrees(2 * math.atan(math.exp(mercator)) - math.pi / 2)


def bytes_of(version: int, n: int) -> bytes:
    """What `soak_bytes` gives."""
    return b"".join(hashlib.sha256(f"{version} {n} {i}".encode()).digest() for i in range(4000))
