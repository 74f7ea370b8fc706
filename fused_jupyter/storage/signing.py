"""Signed addresses: whoever has one may read or write one file until it expires, without a login."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from fused_jupyter.errors import AccessError
from fused_jupyter.storage.fd import FD, MOUNT

READ_SECONDS = 12 * 3600
"""How long an address opens a file."""
WRITE_SECONDS = 3600
"""How long an upload may begin."""

READ = "GET"
WRITE = "POST"

_SECRET_FILE = "signing.key"  # noqa: S105 - its name
_SECRET_BYTES = 32
_REFUSAL = "this address opens nothing, or not any more; ask whoever gave it to you for a new one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a signature allows."""

    url: str
    """Of the file: `fd://…`."""
    method: str
    """`READ` or `WRITE`."""
    expires: int
    """Seconds since the epoch."""
    length: int | None = None
    """Of what is written: bytes, at most."""

    def signed(self, secret: bytes) -> str:
        """The signature, in hex.

        >>> permit = Permit(url="fd://a.csv", method=READ, expires=2_000_000_000)
        >>> len(permit.signed(b"secret"))
        64
        """
        length = "" if self.length is None else str(self.length)
        # With lengths before: no two permits have the same text.
        parts = [part.encode(errors="surrogatepass") for part in (self.method, str(self.expires), length, self.url)]
        text = b"".join(b"%d:%s" % (len(part), part) for part in parts)
        return hmac.new(secret, text, hashlib.sha256).hexdigest()

    def address(self, secret: bytes) -> str:
        """The address, below that of the extension's routes. It ends with the file's name, as some readers look there.

        Twin: server_ext/hosted/files.py.

        >>> Permit(url="fd://data/a b.csv", method=READ, expires=2_000_000_000).address(b"s").partition("&")[0]
        'server/v1/files/signed/fd/data/a%20b.csv?expires=2000000000'
        """
        root, key = ("fd", self.url[len(FD) :]) if self.url.startswith(FD) else ("mount", self.url[len(MOUNT) :])
        return f"server/v1/files/signed/{root}/{quote(key)}?{urlencode(self.query(secret))}"

    def query(self, secret: bytes) -> dict[str, str]:
        """What the address carries behind its path."""
        length = {} if self.length is None else {"length": str(self.length)}
        return {"expires": str(self.expires), **length, "signature": self.signed(secret)}


def read_permit(url: str, method: str, query: Mapping[str, str], *, secret: bytes) -> Permit:
    """The permit that an address carries.

    Args:
        url: of the file.
        method: what is to be done with it.
        query: what the address carries behind its path.
        secret: what it was signed with.

    Raises:
        AccessError: it is none, has expired, or is for something else; which of these is not told.
    """
    expires, length = query.get("expires", ""), query.get("length", "")
    if not _is_number(expires) or (length and not _is_number(length)):
        raise AccessError(_REFUSAL)
    permit = Permit(url=url, method=method, expires=int(expires), length=int(length) if length else None)
    given = query.get("signature", "").encode(errors="surrogatepass")
    is_right = hmac.compare_digest(given, permit.signed(secret).encode())
    if not is_right or permit.expires <= time.time():
        raise AccessError(_REFUSAL)
    return permit


def reading_permit(url: str) -> Permit:
    """What lets somebody read a file, from now on."""
    return Permit(url=url, method=READ, expires=int(time.time()) + READ_SECONDS)


def writing_permit(url: str, *, length: int) -> Permit:
    """What lets somebody write a file of at most so many bytes, from now on."""
    return Permit(url=url, method=WRITE, expires=int(time.time()) + WRITE_SECONDS, length=length)


def signing_secret(directory: Path) -> bytes:
    """The secret of this user, made when it is first asked for.

    Args:
        directory: the data directory.

    Raises:
        AccessError: others may read or write the file; says what to do.
    """
    path = directory / _SECRET_FILE
    for _ in range(2):
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
    return _read(path)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status, secret = os.fstat(descriptor), file.read(_SECRET_BYTES + 1)
    if status.st_mode & 0o077 or status.st_uid != os.getuid() or len(secret) != _SECRET_BYTES:
        raise AccessError(
            f"{path} is not, or not only, this user's, or damaged: delete it. Another one is made, and signed "
            "addresses that were given away open nothing any more"
        )
    return secret


def _make(path: Path) -> None:
    """Have the file there whole, whichever process is first: a link fails where there is one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15
