"""A kernel with UDFs of all kinds, on a server of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_jupyter import JupyterServer, Kernel

TYPED = '''
import datetime
from typing import Literal

@fused.udf
def typed(
    least: float = 5.5, kind: Literal["all", "deep"] = "all", day: datetime.date = None, tags: list[str] = None,
    options: dict = {}, flag: bool = True, name: str = "Zürich & <b>", count: int = 3,
):
    """All kinds of parameters.

    </title><script>document.title = "hacked"</script>
    """
    return {"least": least, "kind": kind, "day": str(day), "tags": tags, "flag": flag, "name": name, "count": count}
'''

PLAIN = '''
@fused.udf
def strict(n: int):
    """Twice as much."""
    return 2 * n
'''

RASTER = '''
@fused.udf
def corners(bounds: fused.types.Bounds = None, shift: int = 0):
    """West, east, north and south of a tile, each a colour of its own."""
    import numpy as np

    picture = np.zeros((3, 256, 256), dtype="uint8")
    west, south, east, north = bounds
    picture[0] = 200 if west < 0 else 50
    picture[1] = 200 if north > 0 else 50
    picture[2] = shift
    return picture
'''

VECTOR = '''
@fused.udf
def places(bounds: fused.types.Bounds = None, word: str = "here"):
    """One square at the middle of the world."""
    import geopandas as gpd
    import shapely

    columns = {"word": [word], "size": [1.5], "is_big": [True]}
    return gpd.GeoDataFrame(columns, geometry=[shapely.box(-9, -9, 9, 9)], crs=4326)
'''

BROKEN = """
@fused.udf
def broken():
    print("just before")
    raise KeyError("<i>gone</i>")
"""


@pytest.fixture(scope="session")
def page_kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `server` with a UDF of each kind."""
    with server.running_kernel() as kernel:
        for source in (TYPED, PLAIN, RASTER, VECTOR, BROKEN):
            kernel.define(source)
        yield kernel
