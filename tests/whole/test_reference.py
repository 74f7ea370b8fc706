"""The examples of Fused's own documents on its hosted API, as they stand there, with names and addresses changed."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from real_jupyter import Answer, JupyterServer, Kernel

SAVE = """
import fused

@fused.udf
def caltrain_live_location(my_param: str = "all"):
    import pandas as pd
    return pd.DataFrame({"train": [101, 102], "asked": [my_param, my_param]})

@fused.udf
def Overture_Maps(bounds: fused.types.Bounds = None, my_udf_parameter: int = 1):
    import geopandas as gpd
    import shapely
    return gpd.GeoDataFrame({"p": [my_udf_parameter]}, geometry=[shapely.box(*bounds)], crs=4326)

@fused.udf
def relief(bounds: fused.types.Tile = None):
    import numpy as np
    return np.full((3, 256, 256), 120, "uint8")

@fused.udf
def my_udf(lat: float = 0.0, lon: float = 0.0):
    import pandas as pd
    return pd.DataFrame({'lat': [lat], 'lon': [lon]})

for each in (caltrain_live_location, Overture_Maps, relief, my_udf):
    each.to_fused(overwrite=True)
user = fused.api.whoami()["email"]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    with JupyterServer() as server:
        yield server


@pytest.fixture(scope="module")
def kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A notebook whose UDFs are saved."""
    with server.running_kernel() as kernel:
        kernel.execute("%load_ext fused_jupyter").check()
        kernel.execute(textwrap.dedent(SAVE)).check()
        yield kernel


def said(kernel: Kernel, code: str) -> Any:
    """What the last expression of a cell is, as JSON."""
    *lines, last = textwrap.dedent(code).strip().splitlines()
    cell = "\n".join([*lines, f"import json as _json; print('→', _json.dumps({last}, default=str))"])
    return json.loads(kernel.execute(cell).check().text.rpartition("→")[2])


@pytest.fixture(scope="module")
def api(kernel: Kernel) -> Kernel:
    """A notebook with what the documents begin with."""
    kernel.execute("from fused.api import FusedAPI\napi = FusedAPI()").check()
    return kernel


@pytest.fixture(scope="module")
def token(api: Kernel) -> str:
    made: str = said(
        api,
        """
        token = api.create_udf_access_token(udf_email=user, udf_name="caltrain_live_location")
        token.token
        """,
    )
    return made


@pytest.fixture(scope="module")
def canvas(api: Kernel) -> str:
    """A token of the collection that they are saved in."""
    made: str = said(
        api,
        """
        from fused_jupyter.storage import Library
        from fused_jupyter.settings import Options
        from pathlib import Path
        Library(Path(Options.from_environment().data_directory)).create_token(collection="default")[0]
        """,
    )
    assert made.startswith("fc_")
    return made


@pytest.fixture(scope="module")
def access_token(kernel: Kernel) -> str:
    key: str = said(
        kernel,
        """
        from fused._auth import CREDENTIALS
        CREDENTIALS.credentials.access_token
        """,
    )
    return key


def get(server: JupyterServer, path: str, *, bearer: str = "") -> Answer:
    """As curl asks: nobody is logged in."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    answer = server.get(f"fused/{path}", headers=headers, login=False)
    assert answer.status == 200, answer.body
    return answer


# -- hosted-api-overview, core-concepts


def test_private_token(kernel: Kernel, access_token: str) -> None:
    """Both names under which the documents have it."""
    code = """
        from fused._auth import AUTHORIZATION
        AUTHORIZATION.credentials.access_token == fused.api.access_token()
    """
    assert len(access_token) > 20
    assert said(kernel, code) is True


def test_shared_token_over_http(server: JupyterServer, token: str) -> None:
    """`curl -XGET $BASE/server/v1/realtime-shared/$SHARED_TOKEN/run/file`."""
    answer = get(server, f"server/v1/realtime-shared/{token}/run/file?dtype_out_vector=csv")
    assert pd.read_csv(io.BytesIO(answer.body))["train"].tolist() == [101, 102]


def test_shared_token_in_python(api: Kernel) -> None:
    """`fused.core.run_shared_file`."""
    code = """
        token_object = api.create_udf_access_token(udf_email=user, udf_name="caltrain_live_location")
        output = fused.core.run_shared_file(token=token_object.token, my_param="...")
        output["asked"].tolist()
    """
    assert said(api, code) == ["...", "..."]


def test_managing_shared_tokens(api: Kernel, token: str) -> None:
    """Get, list, update and delete, by the secret."""
    del token
    assert said(api, "token_object = api.get_udf_access_token(token=token.token)\ntoken_object.enabled") is True
    assert said(api, "token_objects = api.get_udf_access_tokens()\nlen(token_objects)") >= 1
    update = "token_object = api.update_udf_access_token(token=token.token, enabled=True)\ntoken_object.enabled"
    assert said(api, update) is True
    delete = """
        other = api.create_udf_access_token(udf_email=user, udf_name="caltrain_live_location")
        before = len(api.get_udf_access_tokens())
        api.delete_udf_access_token(token=other.token, enabled=True)
        before - len(api.get_udf_access_tokens())
    """
    assert said(api, delete) == 1


def test_urls_of_a_token(api: Kernel, server: JupyterServer) -> None:
    """For a single call, and for XYZ tiles."""
    code = """
        api.create_udf_access_token(udf_email=user, udf_name="caltrain_live_location").get_file_url()
    """
    assert server.get(said(api, code), login=False).status == 200
    url = said(api, 'api.create_udf_access_token(udf_email=user, udf_name="relief").get_tile_url()')
    tile = server.get(url.format(z=3, x=1, y=2), login=False)
    assert Image.open(io.BytesIO(tile.body)).size == (256, 256)


def test_running_saved_udfs(kernel: Kernel) -> None:
    """By account and name, also awaited and as tiles."""
    assert said(kernel, 'fused.core.run_file(user, "caltrain_live_location")["train"].tolist()') == [101, 102]
    awaited = """
        output = await fused.core.run_file_async(user, "caltrain_live_location")
        output["train"].tolist()
    """
    assert said(kernel, awaited) == [101, 102]
    tile = 'fused.run(user, "Overture_Maps", x=2808, y=6542, z=14, my_udf_parameter=5)["p"].tolist()'
    assert said(kernel, tile) == [5]
    other = 'fused.run(user + "/Overture_Maps", x=2808, y=6542, z=14)["p"].tolist()'
    assert said(kernel, other) == [1]


def test_running_asynchronously(kernel: Kernel) -> None:
    """Awaited: no notebook allows the documents' `asyncio.run` without nest_asyncio."""
    code = """
        async def main():
            return await fused.run(user, "Overture_Maps", x=2808, y=6542, z=14, sync=False)
        gdf = await main()
        len(gdf.head())
    """
    assert said(kernel, code) == 1


def test_loading_a_saved_udf(kernel: Kernel) -> None:
    """As an object, by both ways of the documents."""
    code = """
        my_loaded = fused.core.load_udf_from_fused(user, "caltrain_live_location")
        my_loaded(my_param="x")["asked"].tolist()
    """
    assert said(kernel, code) == ["x", "x"]
    assert said(kernel, 'fused.load(user + "/caltrain_live_location").name') == "caltrain_live_location"
    assert said(kernel, 'fused.load("team/caltrain_live_location").name') == "caltrain_live_location"


def test_saved_udf_with_the_private_token(server: JupyterServer, kernel: Kernel, access_token: str) -> None:
    """`curl … /realtime/fused/api/v1/run/udf/saved/user@fused.io/caltrain_live_location`."""
    user = said(kernel, "user")
    path = f"server/v1/realtime/fused/api/v1/run/udf/saved/{user}/caltrain_live_location"
    answer = get(server, f"{path}?dtype_out_raster=png&dtype_out_vector=parquet", bearer=access_token)
    assert pd.read_parquet(io.BytesIO(answer.body))["train"].tolist() == [101, 102]
    assert server.get(f"fused/{path}", login=False).status in {401, 403}


@pytest.mark.parametrize("format", ["parquet", "geojson", "json", "feather", "csv", "mvt", "html", "excel", "xml"])
def test_vector_formats(server: JupyterServer, api: Kernel, canvas: str, format: str) -> None:  # noqa: A002
    """Each that the documents name."""
    del api
    path = f"{canvas}/Overture_Maps/run/tiles/14/2808/6542?dtype_out_raster=png&dtype_out_vector={format}"
    assert get(server, path).body


@pytest.mark.parametrize("format", ["png", "gif", "jpg", "jpeg", "webp", "tif", "tiff"])
def test_raster_formats(server: JupyterServer, canvas: str, format: str) -> None:  # noqa: A002
    """Each that the documents name."""
    answer = get(server, f"{canvas}/relief/run/tiles/3/1/2?dtype_out_raster={format}")
    assert Image.open(io.BytesIO(answer.body)).size == (256, 256)


# -- turn-your-data-into-an-api


def test_canvas_token(server: JupyterServer, canvas: str) -> None:
    """`https://udf.ai/fc_<CANVAS_TOKEN>/<udf_name>.<extension>`, with parameters and a maximal age."""
    assert get(server, f"{canvas}/my_udf.json").json()
    table = pd.read_csv(io.BytesIO(get(server, f"{canvas}/my_udf.csv?lat=37.7749&lon=-121.4194").body))
    assert table.to_dict("records") == [{"lat": 37.7749, "lon": -121.4194}]
    assert len(pd.read_parquet(io.BytesIO(get(server, f"{canvas}/my_udf.parquet").body))) == 1
    assert get(server, f"{canvas}/my_udf?lat=37.7749&lon=-121.4194").body
    get(server, f"{canvas}/my_udf.json?cache_max_age=1d&lat=3")
    assert get(server, f"{canvas}/my_udf.json?cache_max_age=1d&lat=3").headers["x-fused-cached"] == "1"


def test_token_of_one_udf(server: JupyterServer, token: str) -> None:
    """`https://udf.ai/fsh_YOUR_TOKEN.parquet`."""
    assert len(pd.read_parquet(io.BytesIO(get(server, f"{token}.parquet").body))) == 2


def test_tiles_of_a_canvas_token(server: JupyterServer, canvas: str) -> None:
    """`…/my_udf/run/tiles/{z}/{x}/{y}?=png`."""
    answer = get(server, f"{canvas}/relief/run/tiles/3/1/2?=png")
    assert answer.headers["Content-Type"] == "image/png"


def test_bearer_beside_a_canvas_token(server: JupyterServer, canvas: str, access_token: str) -> None:
    """`curl -XGET ".../my_udf.png" -H "Authorization: Bearer $ACCESS_TOKEN"`."""
    assert get(server, f"{canvas}/my_udf.json", bearer=access_token).json()


@pytest.mark.parametrize("path", ["run/udf", "server/v1/realtime/local/api/v1/run/udf"])
def test_posted_code(server: JupyterServer, access_token: str, path: str) -> None:
    """`curl -X POST https://udf.ai/run/udf`, for the owner only."""
    code = '@fused.udf\ndef udf(name: str = "world"):\n import pandas as pd\n return pd.DataFrame({"hello": [name]})\n'
    udf = {
        "type": "geopandas_v2",
        "name": "my_udf",
        "entrypoint": "udf",
        "parameters": {},
        "metadata": {},
        "code": code,
        "headers": [],
    }
    step = json.dumps({"type": "udf", "udf": udf})
    body = json.dumps({"step_config": step, "dtype_in": "json", "format": "geojson,png", "cache": True}).encode()
    headers = {"accept": "application/json", "Content-Type": "application/json"}
    bearer = {"Authorization": f"Bearer {access_token}"}

    answer = server.request("POST", f"fused/{path}", headers=headers | bearer, body=body, login=False)
    assert answer.status == 200, answer.body
    assert b"world" in answer.body
    refused = server.request("POST", f"fused/{path}", headers=headers, body=body, login=False)
    assert refused.status in {401, 403}


# -- fused-api, python-sdk-reference


def test_methods_of_the_api(api: Kernel) -> None:
    """Those that concern UDFs, tokens and files are there; those of jobs say what to do."""
    assert said(api, "sorted(name for name in dir(api) if name in {'create_udf_access_token', 'upload'})") == [
        "create_udf_access_token",
        "upload",
    ]
    assert "caltrain_live_location" in said(api, "str(list(fused.api.get_udfs()))")
    code = """
        try:
            api.get_jobs()
        except Exception as exc:
            told = str(exc)
        told
    """
    assert said(api, code)


def test_tokens_of_a_udf(api: Kernel) -> None:
    """`create_access_token` and `get_access_tokens` of the UDF itself."""
    code = """
        made = my_udf.create_access_token()
        len(my_udf.get_access_tokens()) >= 1 and made.token.startswith("fsh_")
    """
    assert said(api, code) is True


def test_files(api: Kernel, server: JupyterServer) -> None:
    """Upload, list, get, sign and delete below `fd://`."""
    code = """
        fused.api.upload("some text".encode("utf-8"), "fd://folder/other-file.txt")
        fused.api.delete("fd://folder/other-file.txt")
        api.upload("fd://folder/new-file.txt", "some text".encode("utf-8"))
        _signed = fused.api.sign_url("fd://folder/new-file.txt")
        [fused.api.list("fd://folder/"), fused.api.get("fd://folder/new-file.txt").decode(), _signed]
    """
    listed, content, signed = said(api, code)
    assert [name.rpartition("/")[2] for name in listed] == ["new-file.txt"]
    assert content == "some text"
    assert server.get(signed, login=False).body == b"some text"
    assert said(api, 'fused.api.delete("fd://folder/")') is True
