"""Who the user of this machine is, as the hosted API and `fused.api.whoami` say it."""

from __future__ import annotations

import getpass
import os


def whoami() -> dict[str, str]:
    """Name and address of this user; there are no accounts.

    Returns:
        `handle` is the name of the user on this machine or on JupyterHub; `email` is none that mail could be sent to.

    >>> sorted(whoami())
    ['email', 'handle', 'name']
    """
    handle = os.environ.get("JUPYTERHUB_USER") or _name()
    return {"email": f"{handle}@localhost", "handle": handle, "name": handle}


def _name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number that nobody named
        return f"user{os.getuid()}"
