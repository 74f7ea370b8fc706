"""Our engine beside the local one of Fused's own client, for a UDF that does nothing: cached, not cached, many calls.

    python benchmarks/official_client.py [--quick]

The client lives in an environment of its own, made by pip in a temporary directory: both packages are called `fused`.
Its local engine calls the function in the process that asks, so a crash or a print of C code is the notebook's; ours
calls it in another process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fused_jupyter as fused

REQUIREMENTS = ("fused==2.9.5", "pandas", "geopandas")
UDF = "@fused.udf\ndef nothing(n: int = 0):\n    return {'n': n}\n"
PEER = """
import contextlib, io, json, sys, time
import fused
{udf}
def call(kind, n):
    if kind == "many":
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            calls = [{{"n": n + i}} for i in range(1000)]
            assert len(fused.submit(nothing, calls, engine="local", cache=False)) == 1000
    elif kind == "cached":
        assert fused.run(nothing, engine="local", n=1) == {{"n": 1}}
    else:
        assert fused.run(nothing, engine="local", cache=False, n=n) == {{"n": n}}
for line in sys.stdin:
    kind, n = json.loads(line)
    started = time.perf_counter()
    call(kind, n)
    print(json.dumps(time.perf_counter() - started), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    rounds = {"not cached": 200, "cached": 200, "many": 3}
    if parser.parse_args().quick:
        rounds = {"not cached": 50, "cached": 50, "many": 1}
    sides: dict[str, Callable[[str, int], float]] = {"ours": ours(fused.load(UDF))}
    with peer() as sides["theirs"]:
        print(f"{'a UDF that does nothing':<32}{'ours ms':>10}{'theirs ms':>11}{'ratio':>8}")
        for kind, count in rounds.items():
            times: dict[str, list[float]] = {side: [] for side in sides}
            for number in range(count + 3 * (kind != "many")):
                for side, call in sides.items():
                    times[side].append(call(kind, number * 1000) * 1000)
            mine, theirs = (statistics.median(times[side][-count:]) for side in ("ours", "theirs"))
            name = {"many": "1,000 calls"}.get(kind, f"one call, {kind}")
            print(f"{name:<32}{mine:>10.3f}{theirs:>11.3f}{theirs / mine:>8.2f}", flush=True)


def ours(udf: Any) -> Callable[[str, int], float]:
    """Seconds of one call by us."""

    def call(kind: str, n: int) -> float:
        started = time.perf_counter()
        if kind == "many":
            assert [fused.run(udf, n=n + i)["n"] for i in range(1000)] == list(range(n, n + 1000))
        elif kind == "cached":
            assert fused.run(udf, n=1, cache_max_age="1h") == {"n": 1}
        else:
            assert fused.run(udf, n=n) == {"n": n}
        return time.perf_counter() - started

    return call


@contextlib.contextmanager
def peer() -> Iterator[Callable[[str, int], float]]:
    """The client in its environment; gives the seconds of one call, measured there."""
    with tempfile.TemporaryDirectory() as directory:
        python = Path(directory) / "environment" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        script = Path(directory) / "peer.py"  # a file: the client reads the source of its UDFs
        script.write_text(PEER.format(udf=UDF))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([python, script], text=True, cwd=directory, **pipes) as process:
            assert isinstance(process.stdin, io.TextIOBase)
            assert isinstance(process.stdout, io.TextIOBase)

            def call(kind: str, n: int) -> float:
                print(json.dumps([kind, n]), file=process.stdin, flush=True)
                return float(json.loads(process.stdout.readline()))

            yield call
            process.stdin.close()


if __name__ == "__main__":
    main()
