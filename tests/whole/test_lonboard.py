"""lonboard's layer in a real kernel: its address works without a login, and follows the cell."""

from __future__ import annotations

from real_jupyter import JupyterServer, Kernel

RED = """
import numpy as np

def for_lonboard(bounds: fused.types.Bounds = None, level: int = 200):
    picture = np.zeros((3, 256, 256), "uint8")
    picture[0] = level
    return picture
"""


def test_layer_follows_the_cell(server: JupyterServer, kernel: Kernel) -> None:
    """An edited cell is a new address for the layer; the old one keeps giving what it gave."""
    kernel.define(RED)
    first = address(kernel, "layer = for_lonboard.to_lonboard(level=7); print(layer.data)")
    kernel.define(RED.replace("[0]", "[1]"))
    second = address(kernel, "print(layer.data)")

    old, new = (server.get(server.root.rstrip("/") + url.format(z=1, x=0, y=1), login=False) for url in (first, second))

    assert first != second
    assert (old.status, new.status) == (200, 200)
    assert old.headers["Content-Type"] == new.headers["Content-Type"] == "image/png"
    assert old.body != new.body


def address(kernel: Kernel, code: str) -> str:
    return kernel.execute(code).check().text.strip().splitlines()[-1]
