"""How two processes on one machine make sure of each other before the first message.

The host sends a nonce, its protocol number and version; the caller proves that it read the announcement file (0600)
by an HMAC of the nonce with the secret in it, and says what it is. The secret itself never travels, so a stranger who
took over a stale port learns nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from typing import Any, Literal

import orjson

from fused_jupyter._version import __version__
from fused_jupyter.errors import AccessError, ProtocolError
from fused_jupyter.wire.frames import pack, read_frame

PROTOCOL = 1
"""Raised with every change that an older peer would misunderstand."""

Role = Literal["kernel", "server"]
_ROLES = frozenset({"kernel", "server"})


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, secret: str) -> Role:
    """The host's side: who is calling, proven.

    Raises:
        AccessError: the caller does not know the secret.
        ProtocolError: the caller speaks another protocol.
        EOFError: the caller hung up.
    """
    nonce = secrets.token_hex(16)
    _send(writer, {"protocol": PROTOCOL, "version": __version__, "nonce": nonce})
    hello = _parse((await read_frame(reader))[0])
    role, proof = str(hello.get("role")), str(hello.get("proof"))
    if role not in _ROLES or not hmac.compare_digest(proof.encode(), _proof(secret, nonce, role).encode()):
        _send(writer, {"refused": "wrong secret"})
        raise AccessError("a caller without the secret of this host's announcement was refused")
    _send(writer, {"welcome": True})
    return "kernel" if role == "kernel" else "server"


async def introduce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, secret: str, role: Role) -> None:
    """The caller's side.

    Raises:
        AccessError: the host refused.
        ProtocolError: the host speaks another protocol.
        EOFError: the host hung up.
    """
    challenge = _parse((await read_frame(reader))[0])
    if challenge.get("protocol") != PROTOCOL:
        raise ProtocolError(
            f"the kernel has fused_jupyter {challenge.get('version')} (protocol {challenge.get('protocol')}), this "
            f"side has {__version__} (protocol {PROTOCOL}); install the same version in both environments"
        )
    _send(writer, {"role": role, "proof": _proof(secret, str(challenge.get("nonce")), role)})
    if not _parse((await read_frame(reader))[0]).get("welcome"):
        raise AccessError("the runtime host refused the secret of its announcement; restart the kernel")


def _proof(secret: str, nonce: str, role: str) -> str:
    return hmac.new(bytes.fromhex(secret), f"{nonce}:{role}".encode(), hashlib.sha256).hexdigest()


def _send(writer: asyncio.StreamWriter, fields: dict[str, Any]) -> None:
    writer.write(pack(orjson.dumps(fields), 0))


def _parse(header: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(header)
    except ValueError as exc:
        raise ProtocolError(f"no greeting of fused_jupyter: {header[:80]!r}") from exc
    if not isinstance(fields, dict):
        raise ProtocolError(f"no greeting of fused_jupyter: {header[:80]!r}")
    return fields
