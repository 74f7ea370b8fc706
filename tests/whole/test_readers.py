"""The programs that people read files and tiles with, by URL from a real server: nobody here knows of this package."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window
from real_jupyter import JupyterServer, Kernel

ROWS = 20_000
COLUMNS = 30


@dataclass
class Proxy:
    """A stranger between reader and server, who counts what passes."""

    port: int
    upstream: JupyterServer
    requests: list[tuple[str, int, int]] = field(default_factory=list)
    """(method, status, bytes of the body) of each."""

    def url(self, path: str) -> str:
        """The address of a path below `fused/run/`, with the token in it."""
        joint = "&" if "?" in path else "?"
        return f"http://127.0.0.1:{self.port}/fused/run/{path}{joint}token={self.upstream.token}"

    @property
    def bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(size for _, _, size in self.requests)

    def statuses(self, method: str) -> set[int]:
        """How the requests of a method were answered."""
        return {status for each, status, _ in self.requests if each == method}


def forwarding(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            upstream = HTTPConnection("127.0.0.1", proxy.upstream.port)
            headers = {name: text for name, text in self.headers.items() if name.lower() != "connection"}
            upstream.request(self.command, self.path, headers=headers)
            answer = upstream.getresponse()
            body = answer.read()
            proxy.requests.append((self.command, answer.status, len(body)))
            self.send_response_only(answer.status)
            for name, text in answer.getheaders():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)
            upstream.close()

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: Any) -> None:
            """No noise."""

    return Forward


@pytest.fixture
def proxy(server: JupyterServer, udfs: None) -> Iterator[Proxy]:
    """An address of the server where everything is counted."""
    proxy = Proxy(0, server)
    with ThreadingHTTPServer(("127.0.0.1", 0), forwarding(proxy)) as http:
        proxy.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield proxy
        http.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def udfs(kernel: Kernel) -> None:
    """Places, a wide table, a large elevation model and a picture."""
    kernel.define(
        """
        import geopandas as gpd, shapely
        @fused.udf
        def cities():
            return gpd.GeoDataFrame(
                {"name": ["Roma", "Zürich", "Oslo"], "people": [2_800_000, 430_000, 700_000], "rain": [0.8, 1.1, None]},
                geometry=shapely.points([[12.5, 41.9], [8.54, 47.37], [10.75, 59.91]]), crs=4326,
            )
        """
    )
    kernel.define(
        f"""
        import numpy as np, pandas as pd
        @fused.udf
        def wide():
            rng = np.random.default_rng(1)
            return pd.DataFrame({{f"c{{i}}": rng.random({ROWS}) for i in range({COLUMNS})}})
        """
    )
    kernel.define(
        """
        import numpy as np, rioxarray, xarray
        @fused.udf
        def dem():
            rows = np.random.default_rng(1).random((2048, 2048), "float32")
            x, y = 5 + (np.arange(2048) + 0.5) / 256, 50 - (np.arange(2048) + 0.5) / 256
            return xarray.DataArray(rows, coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs(4326)
        """
    )
    kernel.define(
        """
        import numpy as np
        @fused.udf
        def ramp(tile: fused.types.TileXYZ = None):
            z, x, y = (tile.z, tile.x, tile.y) if tile else (9, 9, 9)
            return np.stack([np.full((256, 256), 10 * value + 50, "uint8") for value in (z, x, y)])
        """
    )


CITIES = {"name": ["Roma", "Zürich", "Oslo"], "people": [2_800_000, 430_000, 700_000]}


def assert_cities(frame: pd.DataFrame) -> None:
    """The three places with their numbers and, as far as there are geometries, where they are."""
    frame = frame.sort_values("people", ascending=False, ignore_index=True)
    expected = pd.DataFrame({**CITIES, "rain": [0.8, 1.1, np.nan]}).sort_values("people", ascending=False)
    pd.testing.assert_frame_equal(
        pd.DataFrame(frame[["name", "people", "rain"]]), expected.reset_index(drop=True), check_dtype=False
    )
    if isinstance(frame, gpd.GeoDataFrame):
        np.testing.assert_allclose(frame.geometry.x, [12.5, 10.75, 8.54], atol=0.001)
        np.testing.assert_allclose(frame.geometry.y, [41.9, 59.91, 47.37], atol=0.001)


# -- pandas and geopandas


@pytest.mark.parametrize(
    ("read", "ending"),
    [
        (pd.read_csv, "csv"),
        (pd.read_parquet, "parquet"),
        (pd.read_json, "json"),
        (pd.read_feather, "feather"),
        (partial(pd.read_excel, engine="openpyxl"), "xlsx"),
        (pd.read_xml, "xml"),
        (lambda url: pd.read_html(url)[0], "html"),
        (gpd.read_file, "geojson"),
        (gpd.read_parquet, "parquet"),
    ],
)
def test_pandas_and_geopandas_read_by_url(read: Any, ending: str, proxy: Proxy) -> None:
    """Each format by the function that is there for it."""
    assert_cities(read(proxy.url(f"file/cities.{ending}")))


# -- parts of Parquet


def wide_column() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return [rng.random(ROWS) for _ in range(COLUMNS)][7]


def assert_parts_only(proxy: Proxy, whole: int) -> None:
    """A tenth of the file at most, nothing but ranges."""
    assert proxy.statuses("GET") == {206}
    assert proxy.statuses("HEAD") <= {200}
    assert 0 < proxy.bytes < whole / 10


def size_of(path: str, server: JupyterServer) -> int:
    return len(server.get(f"fused/run/{path}").body)


def test_duckdb_reads_one_column_of_thirty(proxy: Proxy, server: JupyterServer) -> None:
    """Its httpfs fetches the footer and the column; the login is a secret of its own."""
    import duckdb
    import duckdb_extension_httpfs

    binary = next(Path(duckdb_extension_httpfs.__file__).parent.rglob("*.duckdb_extension"))
    with duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": 2}) as connection:
        connection.execute(f"LOAD '{binary}'")
        secret = f"MAP {{'Authorization': 'token {server.token}'}}"
        connection.execute(f"CREATE SECRET (TYPE http, EXTRA_HTTP_HEADERS {secret})")
        address = f"http://127.0.0.1:{proxy.port}/fused/run/file/wide.parquet"
        row = connection.execute(f"SELECT count(*), sum(c7) FROM '{address}' WHERE c7 < 2").fetchone()

    assert row == (ROWS, pytest.approx(wide_column().sum()))
    assert_parts_only(proxy, size_of("file/wide.parquet", server))


def test_pyarrow_reads_one_column_of_thirty(proxy: Proxy, server: JupyterServer) -> None:
    """Through fsspec, which asks first whether it may."""
    with fsspec.open(proxy.url("file/wide.parquet"), cache_type="none") as remote:
        column = pq.ParquetFile(remote).read(columns=["c7"])["c7"].to_numpy()

    np.testing.assert_array_equal(column, wide_column())
    assert_parts_only(proxy, size_of("file/wide.parquet", server))


def test_pandas_reads_the_same_with_columns_named(proxy: Proxy) -> None:
    """Whole or in parts, as it likes."""
    frame = pd.read_parquet(proxy.url("file/wide.parquet"), columns=["c7"])

    np.testing.assert_array_equal(frame["c7"], wide_column())


# -- GDAL


@pytest.fixture
def gdal_login(server: JupyterServer) -> Iterator[None]:
    """The token in a header, for both GDALs that are in wheels here; and nothing remembered from another test."""
    options = {"GDAL_HTTP_HEADERS": f"Authorization: token {server.token}", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    pyogrio.set_gdal_config_options(options)
    with rasterio.Env(**options):
        yield
    pyogrio.set_gdal_config_options(dict.fromkeys(options))


@pytest.mark.parametrize("ending", ["geojson", "csv"])
@pytest.mark.usefixtures("gdal_login")
def test_gdal_reads_text_by_url(ending: str, proxy: Proxy) -> None:
    """`/vsicurl/`, with ranges or without."""
    options = {"AUTODETECT_TYPE": "YES"} if ending == "csv" else {}

    frame = pyogrio.read_dataframe(f"/vsicurl/http://127.0.0.1:{proxy.port}/fused/run/file/cities.{ending}", **options)

    assert_cities(frame)


@pytest.mark.usefixtures("gdal_login")
def test_gdal_opens_a_vector_tile(proxy: Proxy) -> None:
    """Its MVT driver places the tile by the end of the address."""
    tile = f"MVT:/vsicurl/http://127.0.0.1:{proxy.port}/fused/run/tiles/cities/4/8/5.mvt"

    frame = pyogrio.read_dataframe(tile, layer="udf").to_crs(4326)

    assert sorted(frame["name"]) == ["Roma", "Zürich"]
    rome = frame.loc[frame["name"] == "Roma"].iloc[0]
    assert (rome["people"], rome["rain"]) == (2_800_000, 0.8)
    np.testing.assert_allclose([rome.geometry.x, rome.geometry.y], [12.5, 41.9], atol=0.01)


XYZ = """<GDAL_WMS>
  <Service name="TMS"><ServerUrl>http://127.0.0.1:{port}/fused/run/tiles/ramp/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
  <DataWindow>
    <UpperLeftX>-20037508.34</UpperLeftX><UpperLeftY>20037508.34</UpperLeftY>
    <LowerRightX>20037508.34</LowerRightX><LowerRightY>-20037508.34</LowerRightY>
    <TileLevel>3</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin>
  </DataWindow>
  <Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount>
</GDAL_WMS>"""


@pytest.mark.usefixtures("gdal_login")
def test_gdal_shows_our_tiles_as_one_raster(proxy: Proxy) -> None:
    """The XYZ layer that QGIS adds; each pixel comes from the tile that it lies in."""
    with rasterio.open(XYZ.format(port=proxy.port)) as layer:
        pixels = layer.read(window=Window(2 * 256 - 1, 5 * 256 - 1, 2, 2))

    z, x, y = pixels
    assert layer.shape == (2048, 2048)
    assert (z == 80).all()
    assert x.tolist() == [[60, 70], [60, 70]]
    assert y.tolist() == [[90, 90], [100, 100]]


@pytest.mark.usefixtures("gdal_login")
def test_rasterio_reads_a_window_of_a_large_geotiff(proxy: Proxy, server: JupyterServer) -> None:
    """Of 16 MB it fetches the head and the tiles of the window; the picture lies where it should."""
    with rasterio.open(f"/vsicurl/http://127.0.0.1:{proxy.port}/fused/run/file/dem.tif") as source:
        window = source.read(1, window=Window(1100, 700, 64, 64))
        place = (source.crs.to_epsg(), *(round(edge, 6) for edge in source.bounds))
        overviews = source.overviews(1)
        proxy_bytes = proxy.bytes

    expected = np.random.default_rng(1).random((2048, 2048), "float32")[700:764, 1100:1164]
    np.testing.assert_array_equal(window, expected)
    assert place == (4326, 5.0, 42.0, 13.0, 50.0)
    assert overviews
    assert proxy.statuses("GET") == {206}
    assert proxy_bytes < size_of("file/dem.tif", server) / 10


# -- numpy and Pillow


def test_numpy_loads_an_array(proxy: Proxy) -> None:
    """Nothing in it has to be trusted."""
    with fsspec.open(proxy.url("file/ramp.npy")) as remote:
        array = np.load(io.BytesIO(remote.read()), allow_pickle=False)

    assert array.shape == (3, 256, 256)
    assert (array == 140).all()


@pytest.mark.parametrize("ending", ["png", "webp", "jpg", "gif", "avif", "tif"])
def test_pillow_opens_a_picture(ending: str, proxy: Proxy) -> None:
    """All formats of pictures; those that lose something lose little of one colour."""
    with fsspec.open(proxy.url(f"file/ramp.{ending}")) as remote:
        picture = Image.open(io.BytesIO(remote.read()))
        pixel = picture.convert("RGB").getpixel((100, 100))

    assert picture.size == (256, 256)
    np.testing.assert_allclose(pixel, [140, 140, 140], atol=3)
