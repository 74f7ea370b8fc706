"""What importing costs: the package in a kernel, and the extension on top of Jupyter Server; medians.

python benchmarks/imports.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

PROGRAM = """
import sys, time
{before}
started = time.perf_counter()
{imports}
elapsed = time.perf_counter() - started
print(elapsed * 1000, "numpy" in sys.modules)
"""

CASES = {
    "import fused_jupyter": ("", "import fused_jupyter", 150.0),
    "fused.udf, fused.run (first use)": ("", "import fused_jupyter; fused_jupyter.udf; fused_jupyter.run", 150.0),
    "%load_ext's modules in a kernel": ("import ipykernel.kernelapp", "import fused_jupyter.magics", 150.0),
    "the extension in Jupyter Server": (
        "import jupyter_server.serverapp, jupyter_server.extension.application, jupyter_server.auth.identity",
        "import fused_jupyter; fused_jupyter._jupyter_server_extension_points()",
        50.0,
    ),
}


def main() -> None:
    """Measure, interleaved, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in CASES}
    numpy: dict[str, bool] = {}
    for _ in range(rounds):
        for name, (before, imports, _) in CASES.items():
            program = PROGRAM.format(before=before, imports=imports)
            out = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            ).stdout.split()
            times[name].append(float(out[0]))
            numpy[name] = out[1] == "True"
    print(f"{'what':<36}{'median ms':>10}{'limit':>8}  numpy")
    for name, (_, _, limit) in CASES.items():
        median = statistics.median(times[name])
        met = "met" if median <= limit and not numpy[name] else "MISSED"
        print(f"{name:<36}{median:>10.1f}{limit:>8.0f}  {'loaded' if numpy[name] else 'not loaded'}  {met}")


if __name__ == "__main__":
    main()
