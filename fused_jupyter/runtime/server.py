"""The Jupyter server that started this kernel, as far as the kernel can know it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from fused_jupyter.errors import NoServerError

BASE_URL_VARIABLE = "FUSED_JUPYTER_BASE_URL"
"""Set by our server extension in its own environment; kernels inherit it. Twin: server_ext/app.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JupyterServer:
    """Where the routes of the extension are."""

    base_url: str
    """Path, with a slash at both ends."""
    origin: str
    """``http://127.0.0.1:8888``; empty behind a JupyterHub that does not say it, so that only the browser knows."""
    token: str = field(repr=False)
    pid: int
    key: str = field(default="", repr=False)
    """Opens our own routes to who may read this user's files; empty where the server does not say."""
    local_url: str = ""
    """Where it listens on this machine, with the base URL; behind JupyterHub, too."""

    def url(self, path: str) -> str:
        """The address of a path below the base URL: absolute where the origin is known, else from the root."""
        return f"{self.origin}{self.base_url}{path}"


def find_server(runtime_directory: Path, environment: Mapping[str, str] | None = None) -> JupyterServer:
    """The server that started this kernel.

    Raises:
        NoServerError: none did, or it runs without our extension; says which.
    """
    environment = os.environ if environment is None else environment
    base_url = environment.get(BASE_URL_VARIABLE)
    own = _own_file(runtime_directory, server_pid(environment))
    key, local_url = str(own.get("key", "")), str(own.get("url", ""))
    if (prefix := environment.get("JUPYTERHUB_SERVICE_PREFIX")) and base_url:
        return JupyterServer(
            base_url=_slashes(prefix),
            origin=_origin_of(environment.get("JUPYTERHUB_PUBLIC_URL", "")),
            token="",
            pid=server_pid(environment),
            key=key,
            local_url=local_url,
        )
    path = runtime_directory / f"jpserver-{server_pid(environment)}.json"
    try:
        info = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise NoServerError(
            "this kernel was not started by a Jupyter server (nbclient, VS Code or plain Python), so its UDFs have no "
            "URL; calling them and fused.run work. For URLs and maps open the notebook in JupyterLab or Notebook 7"
        ) from exc
    if base_url is None:
        raise NoServerError(
            f"the Jupyter server at {info.get('url')} runs without the fused_jupyter extension; in its environment: "
            "pip install fused-jupyter && jupyter server extension enable fused_jupyter, then restart it"
        )
    scheme = "https" if info.get("secure") else "http"
    origin = f"{scheme}://{_host(str(info.get('hostname', '')))}:{info['port']}"
    return JupyterServer(
        base_url=_slashes(info["base_url"]),
        origin=origin,
        token=info.get("token", ""),
        pid=info["pid"],
        key=key,
        local_url=local_url,
    )


def _own_file(runtime_directory: Path, pid: int) -> dict[str, Any]:
    """What our server extension wrote beside the file of Jupyter's own; twin: server_ext/owner.py."""
    with contextlib.suppress(OSError, ValueError):
        found = orjson.loads((runtime_directory / f"jpfused-{pid}.json").read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def server_pid(environment: Mapping[str, str] | None = None) -> int:
    """Process of whoever started this kernel, as Jupyter tells; 0 where it does not."""
    text = (os.environ if environment is None else environment).get("JPY_PARENT_PID", "")
    return int(text) if text.isdigit() else 0


def _slashes(path: str) -> str:
    return f"/{path.strip('/')}/" if path.strip("/") else "/"


def _origin_of(url: str) -> str:
    """Of the address by which the world knows a user's server, where the Hub is told it (`JupyterHub.public_url`)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""


def _host(name: str) -> str:
    return "127.0.0.1" if name in {"", "0.0.0.0", "::"} else name  # noqa: S104 - compared, not bound
