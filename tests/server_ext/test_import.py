from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "numpy",
    "pandas",
    "geopandas",
    "shapely",
    "pyarrow",
    "rasterio",
    "xarray",
    "ipywidgets",
    "lonboard",
    "IPython",
}


def test_the_extension_loads_no_heavy_library() -> None:
    """On top of jupyter_server the extension brings neither numpy nor anything that needs it."""
    code = (
        "import sys, json, jupyter_server.serverapp; before = set(sys.modules);"
        "import fused_jupyter.server_ext.app; print(json.dumps(sorted(set(sys.modules) - before)))"
    )

    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    brought = {name.partition(".")[0] for name in json.loads(output)}
    assert "fused_jupyter" in brought
    assert brought.isdisjoint(HEAVY)


def test_the_extension_knows_no_code_of_the_kernel_side() -> None:
    """Server and kernel may have different versions of us: the server loads wire, settings, errors and itself."""
    code = (
        "import sys, json, fused_jupyter.server_ext.app;"
        "print(json.dumps([name for name in sys.modules if name.startswith('fused_jupyter.')]))"
    )

    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    layers = {name.split(".")[1] for name in json.loads(output)}
    assert layers == {"_version", "errors", "server_ext", "settings", "wire"}
