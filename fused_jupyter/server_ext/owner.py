"""The owner's key: opens our routes to programs of this user, which have no way to log in with a browser."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from pathlib import Path

import orjson
from jupyter_server.auth import User
from jupyter_server.base.handlers import JupyterHandler

from fused_jupyter.server_ext.policy import STOCK_PROVIDERS

_SCHEMES = re.compile(
    r"(?:token|bearer|fused-env-bearer|fused-rtenv-bearer|fused-service-token)\s+(\S+)", re.IGNORECASE
)
"""What Jupyter takes, and what Fused's own client sends, whatever the secret is."""
_FOREIGN = re.compile(r"fused-(?:env-bearer|rtenv-bearer|service-token)\s+", re.IGNORECASE)

OWNER = User(username="owner", name="owner", display_name="owner")
"""Whoever has the key; it lies where only the server's own user can read it, and they can run code anyway."""


class OwnerKey:
    """A key of one server's life, in a file that only this user can read.

    Args:
        directory: the runtime directory, where kernels look for it.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / f"jpfused-{os.getpid()}.json"
        self._key = secrets.token_urlsafe(32)

    def write(self, *, url: str, base_url: str) -> None:
        """Put the file into place, whole.

        Args:
            url: where the server listens on this machine, with the base URL.
            base_url: the path of it.
        """
        content = {"pid": os.getpid(), "url": url, "base_url": base_url, "key": self._key}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(content))
        draft.replace(self._path)

    def remove(self) -> None:
        """Take the file away."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def is_in(self, authorization: str) -> bool:
        """Whether a header `Authorization` carries the key."""
        match = _SCHEMES.fullmatch(authorization.strip())
        return match is not None and hmac.compare_digest(match[1].encode(), self._key.encode())


def without_own_scheme(authorization: str) -> str:
    """A header `Authorization` as Jupyter and JupyterHub take it.

    >>> without_own_scheme("Fused-Env-Bearer abc"), without_own_scheme("token abc")
    ('Bearer abc', 'token abc')
    """
    return _FOREIGN.sub("Bearer ", authorization, count=1)


def recognise_owner(handler: JupyterHandler) -> User | None:
    """The owner, where a request has the key; None leaves it to Jupyter, which is shown a scheme that it knows."""
    headers = handler.request.headers
    authorization = headers.get("Authorization", "")
    if not authorization:
        return None
    key: OwnerKey | None = handler.settings.get("fused_owner_key")
    if key is None or not key.is_in(authorization):
        headers["Authorization"] = without_own_scheme(authorization)
        return None
    provider = handler.identity_provider
    if type(provider) in STOCK_PROVIDERS or not provider.token:
        return OWNER
    # JupyterHub takes no user from us, and its authorizer wants one of its own; the server's token names its owner.
    headers["Authorization"] = f"token {provider.token}"
    return None
