from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from fused_jupyter.errors import NoServerError
from fused_jupyter.runtime import server
from fused_jupyter.runtime.server import find_server, server_pid
from fused_jupyter.server_ext import app

INFO: dict[str, Any] = {
    "base_url": "/user/ann/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t", "pid": 77,
    "url": "http://localhost:8888/user/ann/",
}  # fmt: skip


def found(directory: Path, environment: dict[str, str] | None = None, **changes: Any) -> server.JupyterServer:
    (directory / "jpserver-77.json").write_bytes(orjson.dumps(INFO | changes))
    return find_server(
        directory, {"JPY_PARENT_PID": "77", server.BASE_URL_VARIABLE: "/user/ann/"} | (environment or {})
    )


def test_server_is_the_one_that_started_the_kernel(tmp_path: Path) -> None:
    """By the pid that Jupyter tells, not by guessing among all that run."""
    here = found(tmp_path)

    assert (here.base_url, here.origin, here.token, here.pid) == ("/user/ann/", "http://localhost:8888", "t", 77)
    assert here.url("fused/ping") == "http://localhost:8888/user/ann/fused/ping"


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"secure": True}, "https://localhost:8888"),
        ({"hostname": "0.0.0.0"}, "http://127.0.0.1:8888"),
        ({"hostname": ""}, "http://127.0.0.1:8888"),
        ({"hostname": "::"}, "http://127.0.0.1:8888"),
    ],
)
def test_origin_can_be_reached(tmp_path: Path, changes: dict[str, Any], origin: str) -> None:
    """A server that listens everywhere is asked here."""
    assert found(tmp_path, **changes).origin == origin


@pytest.mark.parametrize("base_url", ["/", "", "lab", "/lab/"])
def test_base_url_has_a_slash_at_both_ends(tmp_path: Path, base_url: str) -> None:
    """Whatever the file says."""
    assert found(tmp_path, base_url=base_url).base_url in {"/", "/lab/"}


def test_hub_is_known_by_its_prefix(tmp_path: Path) -> None:
    """Only the browser knows its address; URLs start at the root."""
    hub = found(tmp_path, {"JUPYTERHUB_SERVICE_PREFIX": "/hub/user/ann"})

    assert hub.url("fused/ping") == "/hub/user/ann/fused/ping"


@pytest.mark.parametrize(
    ("public", "origin"),
    [("https://ann.example.org/hub/user/ann/", "https://ann.example.org"), ("", ""), ("/hub/user/ann/", "")],
)
def test_a_hub_that_knows_its_address_tells_it(tmp_path: Path, public: str, origin: str) -> None:
    """Then URLs are whole."""
    hub = found(tmp_path, {"JUPYTERHUB_SERVICE_PREFIX": "/hub/user/ann/", "JUPYTERHUB_PUBLIC_URL": public})

    assert hub.url("fused/ping") == f"{origin}/hub/user/ann/fused/ping"


def test_kernel_without_a_server_is_told_what_works(tmp_path: Path) -> None:
    """nbclient, VS Code, plain Python."""
    for environment in ({}, {"JPY_PARENT_PID": "78"}, {"JPY_PARENT_PID": "not a number"}):
        with pytest.raises(NoServerError, match="calling them and fused.run work.*open the notebook in JupyterLab"):
            find_server(tmp_path, environment)


def test_server_without_the_extension_is_told_how_to_get_it(tmp_path: Path) -> None:
    """The variable that the extension sets is missing."""
    (tmp_path / "jpserver-77.json").write_bytes(orjson.dumps(INFO))

    with pytest.raises(NoServerError, match="localhost:8888/user/ann/ runs without .* jupyter server extension enable"):
        find_server(tmp_path, {"JPY_PARENT_PID": "77"})


def test_pid_of_the_server_is_zero_where_nobody_tells() -> None:
    """Announcements need a number."""
    assert server_pid({}) == 0
    assert server_pid({"JPY_PARENT_PID": "12"}) == 12


def test_twins_are_equal() -> None:
    """The extension sets the variable that the kernel reads."""
    assert server.BASE_URL_VARIABLE == app.BASE_URL_VARIABLE
