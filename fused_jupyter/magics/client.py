"""What `%fused_client` does: lets Fused's own client, in another program, use this Jupyter server."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from fused_jupyter.errors import NoServerError
from fused_jupyter.runtime import KernelRuntime
from fused_jupyter.runtime.server import JupyterServer

_SCHEME = "Fused-Env-Bearer"
"""Of those that the client takes from its environment; it takes no plain `Bearer` there."""
_FIXED = {"FUSED_AUTH_TOKEN_TYPE": _SCHEME, "FUSED_SYSTEM_TRUST": "0"}
"""Without the second one the client spends 140 ms on certificates with each request, also where there are none."""
VARIABLES = ("FUSED_AUTH_TOKEN", *_FIXED, "FUSED_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAccess:
    """How Fused's own client comes here."""

    address: str
    """Of the API."""
    key_file: Path
    """Where the server keeps its key, for this user only."""
    key: str = field(repr=False)

    @classmethod
    def of(cls, runtime: KernelRuntime) -> ClientAccess:
        """That of this kernel's server.

        Raises:
            NoServerError: there is none, or it gives no key.
        """
        server = runtime.server()
        if not server.key or not server.local_url:
            raise NoServerError(
                f"the Jupyter server at {server.base_url} runs an older fused_jupyter, which has no API for Fused's "
                "client: install this version in its environment, and restart it"
            )
        return cls(
            address=f"{server.local_url}fused/server/v1",
            key_file=_key_file(runtime.directory, server),
            key=server.key,
        )

    def lines(self) -> str:
        """Three lines for a program of this user on this machine; they read the key where it lies."""
        return self._lines(f'json.loads(pathlib.Path({str(self.key_file)!r}).read_text())["key"]')

    def lines_with_key(self) -> str:
        """The same for any machine that reaches the address, with the key in them."""
        return self._lines(repr(self.key))

    def put_into(self, environment: MutableMapping[str, str]) -> None:
        """Set the variables that the client reads."""
        environment.update({"FUSED_AUTH_TOKEN": self.key, **_FIXED, "FUSED_ENV": self.address})

    def _lines(self, key: str) -> str:
        fixed = ", ".join(f"{name}={value!r}" for name, value in _FIXED.items())
        return "\n".join(
            [
                f"import json, os, pathlib; os.environ.update(FUSED_AUTH_TOKEN={key}, {fixed})",
                "import fused",
                f"fused._env({self.address!r})",
            ]
        )


def describe(runtime: KernelRuntime) -> str:
    """What `%fused_client` prints.

    Raises:
        NoServerError: there is no server, or an older one.
    """
    access = ClientAccess.of(runtime)
    return (
        "Fused's own client (pip install fused) uses this server after these three lines, in a program of yours on "
        f"this machine:\n\n{access.lines()}\n\n"
        f"The key is not in them: they read it from {access.key_file}, which only you can read. It is of this life of "
        "the server.\n%fused_client --env sets the variables for processes that this kernel starts; "
        "%fused_client --show prints the key."
    )


def describe_with_key(runtime: KernelRuntime) -> str:
    """What `%fused_client --show` prints.

    Raises:
        NoServerError: there is no server, or an older one.
    """
    access = ClientAccess.of(runtime)
    return (
        f"{access.lines_with_key()}\n\n"
        "The key above opens everything that you may do on this server: whoever has it runs code as you. Clear this "
        "output before you save or send the notebook. It is worth nothing any more when the server has ended."
    )


def set_environment(runtime: KernelRuntime) -> str:
    """What `%fused_client --env` does, and says: no UDF gets the key, as it is kept from workers.

    Raises:
        NoServerError: there is no server, or an older one.
    """
    access = ClientAccess.of(runtime)
    access.put_into(os.environ)
    return (
        f"{', '.join(VARIABLES)} are set for processes that this kernel starts, e.g. with !python; UDFs do not get the "
        'key.\nIn such a program: import os, fused; fused._env(os.environ["FUSED_ENV"])\n'
        "%fused_client --drop takes them away again."
    )


def drop_environment(_: KernelRuntime) -> str:
    """What `%fused_client --drop` does, and says."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    return f"{', '.join(VARIABLES)} are not set any more"


def _key_file(directory: Path, server: JupyterServer) -> Path:
    """Twin: server_ext/owner.py."""
    return directory / f"jpfused-{server.pid}.json"
