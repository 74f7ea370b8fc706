"""lonboard's tiles in a real kernel: their address works without a login, and follows the cell."""

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


def test_layer_follows_its_parameters(server: JupyterServer, kernel: Kernel) -> None:
    """Other values are another address, and so is another way to draw; bounds say where alone there are tiles."""
    kernel.define(RED)
    made = "layer = for_lonboard.to_lonboard(kind='raster', level=7, bounds=(4, 50, 6, 52))"
    first = address(kernel, f"{made}; print(layer.extent, layer.data)")
    second = address(kernel, "layer.params = {'level': 90, 'rescale': '0,255'}; print(layer.data)")

    area, _, before = first.rpartition(" ")
    bodies = [
        server.get(server.root.rstrip("/") + url.format(z=1, x=0, y=1), login=False).body for url in (before, second)
    ]

    assert area == "(4.0, 50.0, 6.0, 52.0)"
    assert "level=90" in second
    assert bodies[0] != bodies[1]


def address(kernel: Kernel, code: str) -> str:
    return kernel.execute(code).check().text.strip().splitlines()[-1]
