"""Saved UDFs: saved, loaded, listed and deleted by the client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_jupyter import JupyterServer, Kernel

if TYPE_CHECKING:
    from conftest import Client


def test_saved_udf_runs_by_its_name(client: Client, quakes: str) -> None:
    """By name, as `user/name`, as `team/name`, by its id, and as a tile."""
    values = client("""
me = api._whoami()
names = ["quakes", f"{me['email']}/quakes", f"{me['handle']}/quakes", "team/quakes", quakes.metadata["fused:id"]]
[fused.run(name, n=number)["n"][0].item() for number, name in enumerate(names)]
""")

    assert values == [0, 1, 2, 3, 4]
    assert client("fused.run('quakes', x=1, y=2, z=3)['west'][0].item()") == -135.0
    assert client("asyncio.run(fused.run_async('quakes', n=9))['n'][0].item()") == 9


def test_loaded_udf_is_the_saved_one(client: Client) -> None:
    """Code, header modules, defaults, metadata and placement."""
    client("""
from fused.models.udf import Header
saved = make('''
@fused.udf
def udf(n: int = 2):
    # why
    return n
''', "whole").set_parameters({"n": 5})
saved.headers = [Header(module_name="helper", source_code="X = 'ü'", source_file="helper.py")]
saved.metadata = {"fused:description": "All of it", "mine": [1, None]}
saved.cache_max_age = 3600
saved.to_fused()
""")

    there = client("""
there = fused.load("whole")
[there.code == saved.code, there.name, there.parameters, [h.source_code for h in there.headers], there.cache_max_age,
 there.metadata["mine"], there.metadata["fused:description"], there.collection_name]
""")

    assert there == [True, "whole", {"n": 5}, ["X = 'ü'"], 3600, [1, None], "All of it", "default"]
    assert client("fused.run('whole')") == 5


def test_udf_is_overwritten_only_if_that_is_said(client: Client) -> None:
    """Else the difference is shown; the same UDF object is saved again as it is."""
    client("one = make('@fused.udf\\ndef udf():\\n    return 1', 'number')\none.to_fused()\nNone")
    client("two = make('@fused.udf\\ndef udf():\\n    return 2', 'number')")

    error = client.error("two.to_fused()")

    assert error["type"] == "ValueError"
    assert "-    return 1" in error["message"]
    assert "+    return 2" in error["message"]
    assert client("fused.run('number')") == 1
    assert client("two.to_fused(overwrite=True)\nfused.run('number')") == 2
    assert client("two.to_fused()\none.metadata['fused:id'] == two.metadata['fused:id']") is True


def test_name_that_no_address_can_hold_gets_one(client: Client) -> None:
    """It is found by both."""
    client("make('@fused.udf\\ndef udf():\\n    return 1', 'my-udf').to_fused()\nNone")

    assert client("[fused.load(name).name for name in ('my-udf', 'my_udf')]") == ["my_udf", "my_udf"]


def test_lists_end(client: Client, quakes: str) -> None:
    """The client asks for pages until one is empty."""
    assert client("'default/quakes' in fused.api.get_udfs()") is True
    assert client("'default/quakes' in fused.api.get_udfs(whose='team')") is True
    assert client("len(fused.api.get_udfs(1))") == 1
    assert client("[list(fused.api.get_udfs(whose='public')), list(fused.api.get_apps())]") == [[], []]


def test_deleted_udf_is_gone(client: Client) -> None:
    """And its tokens open nothing."""
    client(
        "gone = make('@fused.udf\\ndef udf():\\n    return 1', 'gone')\n"
        "gone.to_fused()\nof_gone = gone.create_access_token()"
    )

    client("gone.delete_saved()")

    error = client.error("fused.load('gone')")
    assert error["type"] == "HTTPError"
    assert "no UDF 'gone' is saved" in error["message"]
    assert client.error("api.get_udf_access_token(of_gone.token)")["type"] == "HTTPError"


def test_collections_keep_names_apart(client: Client) -> None:
    """Made with the first UDF in them, listed, renamed, shared, and deleted when they are empty."""
    client("""
roads = make('@fused.udf\\ndef udf():\\n    return "collected"', 'lone')
roads.to_fused(collection_name="maps", create_collection=True)
maps = api.get_collection_by_name("maps")
""")

    assert client("fused.run(fused.load('lone', collection_name='maps'))") == "collected"
    assert client("fused.load('maps/lone').collection_name") == "maps"
    assert "is saved in the collection 'default'" in client.error("fused.load('lone')")["message"]
    assert "maps" in client("[each['name'] for each in api.list_collections()]")
    assert client("api.update_collection(maps['id'], name='plans', access_scope='team').name") == "plans"
    assert client("api.get_collection_by_id(maps['id']).name") == "plans"
    assert "holds lone" in client.error("api.delete_collection(maps['id'])")["message"]
    client("roads.delete_saved()\napi.delete_collection(maps['id'])")
    assert "plans" not in client("[each['name'] for each in api.list_collections()]")
    assert client("api.create_collection('more').name") == "more"


def test_siblings_of_a_collection_run_each_other(client: Client) -> None:
    """As on a canvas, by their names alone."""
    value = client("""
twice = make('@fused.udf\\ndef udf(n: int):\\n    return n * 2', 'twice')
twice.to_fused(collection_name="kin", create_collection=True)
caller = make('''
@fused.udf
def udf(n: int):
    return fused.run("twice", n=n) + 1
''', 'caller')
caller.to_fused(collection_name="kin")
[fused.run(caller, n=4), fused.run(fused.load("caller", collection_name="kin"), n=5)]
""")

    assert value == [9, 11]


def test_identity_is_that_of_the_machine(client: Client, notebook: Kernel) -> None:
    """The same in the client and in a notebook."""
    told = client(
        "[fused.api.whoami()['email'], fused.api.team_info()['name'], api._health(), fused.options.realtime_client_id]"
    )

    ours = notebook.execute("import fused; print(fused.api.whoami()['email'], end='')").check().text
    assert told[:3] == [ours, "local", True]
    assert client("api._automatic_realtime_client_id()") == "local"


def test_notebook_loads_what_the_client_saved(client: Client, quakes: str, notebook: Kernel) -> None:
    """And the other way round."""
    notebook.execute("import fused").check()
    found = notebook.execute("print(fused.run('quakes', n=6)['n'][0])").check().text
    notebook.define("@fused.udf\ndef mine(n: int = 1):\n    return {'mine': n}")
    notebook.execute("mine.to_fused()").check()

    assert found.strip() == "6"
    assert client("fused.run('mine', n=2)") == {"mine": 2}
    assert client("fused.load('mine')(n=3)") == {"mine": 3}


def test_saved_udf_runs_by_its_address(client: Client, quakes: str, jupyter: JupyterServer) -> None:
    """The example of "Call UDF endpoints", with a Bearer token; also as a tile."""
    handle = client("api._whoami()['handle']")
    saved = f"fused/server/v1/realtime/fused/api/v1/run/udf/saved/{handle}"
    headers = {"Authorization": f"Bearer {jupyter.token}"}

    answer = jupyter.get(f"{saved}/quakes?dtype_out_raster=png&dtype_out_vector=parquet&n=4", headers=headers)
    tile = jupyter.get(f"{saved}/quakes/tiles/3/1/2?format=json", headers=headers)
    bare = jupyter.get(f"{saved}/quakes", login=False)
    missing = jupyter.get(f"{saved}/nothing", headers=headers)

    assert pq.read_table(pa.BufferReader(answer.body))["n"].to_pylist() == [4]
    assert tile.json()[0]["west"] == -135.0
    assert (bare.status, missing.status) == (403, 404)


def test_kept_results_are_deleted(client: Client, counter: Callable[[], int], tmp_path: Path) -> None:
    """The next call runs anew, at once."""
    code = f"@fused.udf\ndef udf():\n    open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')\n    return 1"
    client(f"kept = make({code!r}, 'kept')\nkept.to_fused()\nfused.run('kept'), fused.run('kept')")
    assert counter() == 1

    client("kept.invalidate_cache()\nfused.run('kept')")

    assert counter() == 2


def test_absent_parts_say_so(client: Client) -> None:
    """Jobs on Fused's machines, secrets, schedules."""
    for call in ("api.get_jobs(1)", "fused.secrets['a']", "api.set_secret_value('a', 'b')", "api.list_cronjobs()"):
        assert "not here" in client.error(call)["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "user/self"),
        ("GET", "udf/self"),
        ("GET", "udf/by-id/1"),
        ("POST", "udf/new"),
        ("DELETE", "udf/by-id/1"),
        ("GET", "collection/self"),
        ("POST", "collection/share?collection_id=default"),
        ("GET", "udf-access-token/self"),
        ("POST", "udf-access-token/new"),
        ("GET", "udf/shared/by-token/fsh_a"),
    ],
)
def test_strangers_learn_nothing(method: str, path: str, jupyter: JupyterServer) -> None:
    """All but the token routes and `health` are the owner's."""
    body = b"{}" if method == "POST" else None

    assert jupyter.request(method, f"fused/server/v1/{path}", body=body, login=False).status == 403
