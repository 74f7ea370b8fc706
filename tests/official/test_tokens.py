"""Tokens: made, listed, changed, used and deleted by the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from real_jupyter import JupyterServer, Kernel

if TYPE_CHECKING:
    from conftest import Client


@pytest.fixture(scope="session")
def key(client: Client, quakes: str) -> str:
    """The secret of a token of `quakes`; `key` in the client is the token."""
    return client("key = quakes.create_access_token()\nkey.token")


def test_token_runs_its_udf(client: Client, key: str) -> None:
    """As a file and as a tile, sync and async.

    By itself, the async half of version 2.9.5 refuses its own `profile=False` before it asks anybody.
    """
    assert client("fused.run(key.token, n=3)['n'].tolist()") == [3]
    assert client("fused.run(key, n=4)['n'].tolist()") == [4]
    assert client("fused.run(key.token, x=1, y=2, z=3)['west'].tolist()") == [-135.0]
    assert client("asyncio.run(fused.run_async(key.token, n=5, _profile=0))['n'].tolist()") == [5]
    assert client("asyncio.run(fused.run_async(key.token, x=1, y=2, z=3, _profile=0))['west'].tolist()") == [-135.0]


def test_functions_of_core_run_shared_udfs(client: Client, key: str) -> None:
    """`run_shared_file`, `run_shared_tile` and their async forms."""
    unpacked = "getattr(found, 'data', found)"
    for call in ("run_shared_file(key.token, n=6)", "run_shared_tile(key.token, x=1, y=2, z=3, n=6)"):
        name, _, arguments = call.replace("key.token", "key.token, _profile=0").partition("(")
        assert client(f"found = fused.core.{call}\n{unpacked}['n'].tolist()") == [6]
        assert client(f"found = asyncio.run(fused.core.{name}_async({arguments})\n{unpacked}['n'].tolist()") == [6]


def test_empty_tile_of_a_token_is_none(client: Client) -> None:
    """The client gets nothing, and no error."""
    value = client("""
empty = make('@fused.udf\\ndef udf(bounds=None):\\n    return None', 'empty')
empty.to_fused()
fused.run(empty.create_access_token().token, x=0, y=0, z=0)
""")

    assert value is None


def test_token_of_no_login_runs_too(client: Client, key: str, jupyter: JupyterServer) -> None:
    """Its address is all that somebody needs: in a browser, in the format that it names."""
    address = client("key.get_file_url(format='csv')")

    answer = jupyter.get(f"{address}&n=8", login=False)

    assert answer.status == 200
    assert answer.body.decode().splitlines()[1].startswith("8")
    tile = client("key.get_tile_url()").replace("{z}", "3").replace("{x}", "1").replace("{y}", "2")
    assert jupyter.get(f"{tile}?format=json", login=False).json()[0]["west"] == -135.0


def test_error_behind_a_token_tells_nothing_of_the_inside(client: Client) -> None:
    """No traceback, no message, no output: whoever has a token is not the owner."""
    said = client.answer("""
secretive = make('@fused.udf\\ndef udf():\\n    print("printed")\\n    raise ValueError("password 123")', 'secretive')
secretive.to_fused()
fused.run(secretive.create_access_token().token)
""")

    assert said.error is not None
    assert "123" not in said.error["message"]
    assert "printed" not in said.stdout


def test_secret_is_shown_once(client: Client, key: str) -> None:
    """Lists have the public id, which opens nothing; who has the secret gets it back."""
    assert key.startswith("fsh_")
    listed = client("[each.token for each in api.get_udf_access_tokens(100, max_requests=None)]")
    assert key not in listed
    assert any(each.startswith("fsh_") and len(each) == 16 for each in listed)
    assert client("quakes.get_access_tokens()[0].udf_slug") == "quakes"
    assert client(
        "[key.refresh().token == key.token, api.get_udf_access_token(quakes.get_access_tokens()[0].token).udf_slug]"
    ) == [
        True,
        "quakes",
    ]
    assert client.error("fused.run(quakes.get_access_tokens()[0].token)")["type"] == "HTTPError"


def test_token_is_changed_and_deleted(client: Client, quakes: str) -> None:
    """Disabled it opens nothing, and as much when it is gone."""
    client(
        "mine = api.create_udf_access_token('quakes', cache=False, metadata_json={'name': 'Quakes'}, client_id='local')"
    )
    assert client("[mine.enabled, mine.cache, mine.metadata_json, mine.client_id]") == [
        True, False, {"name": "Quakes"}, "local",
    ]  # fmt: skip

    assert client("mine = mine.update(enabled=False, cache=True)\n[mine.enabled, mine.cache, mine.metadata_json]") == [
        False, True, {"name": "Quakes"},
    ]  # fmt: skip
    assert client.error("fused.run(mine.token)")["type"] == "HTTPError"
    assert client("mine = mine.update(enabled=True)\nfused.run(mine.token, n=2)['n'].tolist()") == [2]
    assert client("mine.delete().udf_slug") == "quakes"
    assert client.error("fused.run(mine.token)")["type"] == "HTTPError"
    assert client.error("api.get_udf_access_token(mine.token)")["type"] == "HTTPError"


def test_token_is_made_by_id_and_by_owner(client: Client, quakes: str) -> None:
    """But not of a UDF that is not there, nor of somebody else's."""
    assert client("api.create_udf_access_token(quakes.metadata['fused:id'], enabled=False).enabled") is False
    assert (
        client("api.create_udf_access_token(udf_email=api._whoami()['email'], udf_name='quakes').udf_slug") == "quakes"
    )
    assert "no UDF 'nothing'" in client.error("api.create_udf_access_token('nothing')")["message"]
    assert "of yours" in client.error("api.create_udf_access_token('bob@example.com', 'quakes')")["message"]


def test_owner_loads_what_a_token_opens(client: Client, key: str) -> None:
    """Others cannot read the code."""
    assert client("fused.load(key.token).code == fused.load('quakes').code") is True
    assert "without having access" in client.error("fused.load('fsh_' + 'x' * 43)")["message"]


def test_collection_is_shared_by_one_token(client: Client) -> None:
    """The token and the name; a new one can close those before it."""
    client("""
first = make('@fused.udf\\ndef udf(n: int = 1):\\n    return n', 'first')
first.to_fused(collection_name="open", create_collection=True)
collection = api.get_collection_by_name("open")
old = api.share_collection(collection["id"]).share_token
new = api.share_collection(collection["id"], new_token=True).share_token
""")

    assert client("[old[:3], fused.run(new + '/first', n=5)]") == ["fc_", 5]
    assert client.error("fused.run(old + '/first')")["type"] == "HTTPError"
    assert client("api.unshare_collection(collection['id']).share_token") is None
    assert client.error("fused.run(new + '/first')")["type"] == "HTTPError"


def test_live_udf_of_a_notebook_runs_by_its_token(client: Client, notebook: Kernel) -> None:
    """Nothing is saved; the token dies with the kernel."""
    notebook.define("@fused.udf\ndef live(n: int = 1):\n    return {'live': n}")
    token = notebook.execute("print(live.create_access_token().token, end='')").check().text

    assert client(f"fused.run({token!r}, n=3)") == {"live": 3}


def test_no_log_has_a_secret(client: Client, key: str, jupyter: JupyterServer) -> None:
    """Not the server's, not the host's."""
    fsh = client("key.token")
    logs = [jupyter.log, *(path.read_text() for path in jupyter.runtime_directory.glob("*.log"))]

    assert not [log for log in logs if fsh[4:] in log]
