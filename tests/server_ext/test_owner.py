"""The owner's key: in a file that only the owner can read, and good for our routes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import orjson
import pytest

from fused_jupyter.runtime.server import find_server
from fused_jupyter.server_ext.owner import OwnerKey, without_own_scheme


@pytest.fixture
def key(tmp_path: Path) -> OwnerKey:
    key = OwnerKey(tmp_path)
    key.write(url="http://127.0.0.1:8888/user/ana/", base_url="/user/ana/")
    return key


def written(directory: Path) -> dict[str, object]:
    found: dict[str, object] = orjson.loads((directory / f"jpfused-{os.getpid()}.json").read_bytes())
    return found


def test_only_its_user_reads_the_key(key: OwnerKey, tmp_path: Path) -> None:
    """And no draft of it is left."""
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]
    assert len(str(written(tmp_path)["key"])) >= 43
    key.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scheme", ["token", "Bearer", "Fused-Env-Bearer", "Fused-Rtenv-Bearer", "Fused-Service-Token"])
def test_every_scheme_of_the_official_client_carries_it(key: OwnerKey, tmp_path: Path, scheme: str) -> None:
    """Whatever the secret is, the client names it as it was told to."""
    secret = written(tmp_path)["key"]
    assert key.is_in(f"{scheme} {secret}")
    assert key.is_in(f"{scheme.lower()}  {secret} ")
    for wrong in (f"{scheme} {secret}x", f"{scheme} ", f"Basic {secret}", str(secret), ""):
        assert not key.is_in(wrong)


def test_jupyter_sees_schemes_that_it_knows() -> None:
    """A token of JupyterHub is good under the client's names, too."""
    assert without_own_scheme("Fused-Service-Token abc") == "Bearer abc"
    assert without_own_scheme("fused-rtenv-bearer abc") == "Bearer abc"
    for kept in ("token abc", "Bearer abc", "Basic abc", ""):
        assert without_own_scheme(kept) == kept


def test_kernels_find_the_key_of_their_server(key: OwnerKey, tmp_path: Path) -> None:
    """By the process that started them; also behind JupyterHub, where Jupyter's own file says less."""
    del key
    parent = {"JPY_PARENT_PID": str(os.getpid()), "FUSED_JUPYTER_BASE_URL": "/user/ana/"}
    server = find_server(tmp_path, parent | {"JUPYTERHUB_SERVICE_PREFIX": "/user/ana/"})
    assert server.key == written(tmp_path)["key"]
    assert server.local_url == "http://127.0.0.1:8888/user/ana/"
    assert str(server.key) not in repr(server)
