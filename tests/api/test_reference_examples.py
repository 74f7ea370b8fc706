"""The Python examples of the reference's pages on the hosted API, as written but for names; and those of our page."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import fused_jupyter as fused
from fused_jupyter import _alias
from fused_jupyter.runtime import current_kernel
from fused_jupyter.udfs import UdfDefinition

USER = fused.api.whoami()["email"]


@pytest.fixture(autouse=True)
def _fused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`fused` is this package, and the kernel has a server."""
    directory = current_kernel().directory
    directory.mkdir(parents=True, exist_ok=True)
    info = {"base_url": "/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t0ken", "pid": 77}
    (directory / "jpserver-77.json").write_bytes(orjson.dumps(info))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/")
    _alias.install()
    yield
    _alias.uninstall()
    (directory / "jpserver-77.json").unlink()


@pytest.fixture
def saved(definition: Callable[..., UdfDefinition]) -> Iterator[fused.Udf]:
    """The UDF of the examples."""
    code = (
        "def caltrain_live_location(bounds: fused.types.Bounds = None, my_param: str = 'none'): return {'p': my_param}"
    )
    udf = fused.Udf(definition(code)).to_fused(overwrite=True)
    yield udf
    udf.delete_saved()


def run(code: str, **names: Any) -> dict[str, Any]:
    names = {"fused": fused, "USER": USER, **names}
    exec(textwrap.dedent(code), names)
    return names


@pytest.mark.usefixtures("saved")
def test_shared_tokens() -> None:
    """Create, get, list, update, delete."""
    names = run("""
        from fused.api import FusedAPI
        api = FusedAPI()

        token_object = api.create_udf_access_token(udf_email=USER, udf_name="caltrain_live_location")
        output = fused.core.run_shared_file(token=token_object.token, my_param="...")

        token = token_object
        token_object = api.get_udf_access_token(token=token.token)
        token_objects = api.get_udf_access_tokens()
        token_object = api.update_udf_access_token(token=token.token, enabled=True)
        api.delete_udf_access_token(token=token.token, enabled=True)
        left = api.get_udf_access_tokens()
    """)

    assert names["output"] == {"p": "..."}
    assert names["token_objects"] == [names["token"]]
    assert names["token_object"].enabled
    assert names["left"] == []


@pytest.mark.usefixtures("saved")
def test_endpoints() -> None:
    """Of a file and of tiles."""
    names = run("""
        from fused.api import FusedAPI
        api = FusedAPI()

        file = api.create_udf_access_token(udf_email=USER, udf_name="caltrain_live_location").get_file_url()
        tiles = api.create_udf_access_token(udf_email=USER, udf_name="caltrain_live_location").get_tile_url()
    """)

    assert names["file"].startswith("http://localhost:8888/fused/fsh_")
    assert names["tiles"].endswith("/run/tiles/{z}/{x}/{y}")


@pytest.mark.usefixtures("saved")
def test_calls() -> None:
    """Run, awaited or not, and load; by whose it is and its name."""
    names = run("""
        import asyncio

        output = fused.core.run_file(USER, "caltrain_live_location")
        tile = fused.run(USER, "caltrain_live_location", x=2808, y=6542, z=14, my_param="5")
        my_udf = fused.core.load_udf_from_fused(USER, "caltrain_live_location")

        async def main():
            first = await fused.core.run_file_async(USER, "caltrain_live_location")
            return first, await fused.run(USER, "caltrain_live_location", my_param="6", sync=False)
    """)

    assert (names["output"], names["tile"], names["my_udf"]()) == ({"p": "none"}, {"p": "5"}, {"p": "none"})
    assert asyncio.run(names["main"]()) == ({"p": "none"}, {"p": "6"})


def test_udfs_are_listed(saved: fused.Udf) -> None:
    """Those of the user."""
    names = run("udfs = fused.api.get_udfs()")

    assert names["udfs"]["caltrain_live_location"].digest == saved.digest


PAGE = (Path(__file__).parents[2] / "docs" / "sharing.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_blocks_of_the_page_on_sharing(definition: Callable[..., UdfDefinition], block: str) -> None:
    """Each by itself, where `quakes` is saved twice and has a token."""
    code = "def quakes(bounds: fused.types.Bounds = None, min_mag: float = 4.0): return min_mag"
    quakes = fused.Udf(definition(code)).register().to_fused(overwrite=True)
    fused.Udf(definition(code)).to_fused(True, collection_name="earth", create_collection=True)
    token, other = quakes.create_access_token(), quakes.create_access_token()

    run(block.replace("fsh_1a2b3c4d5e6f", other.id), quakes=quakes, t=token)

    for udf in fused.api.get_udfs().values():
        udf.delete_saved()
