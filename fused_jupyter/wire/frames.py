"""Length-prefixed frames: 4 bytes header length, 4 bytes body length (big-endian), a JSON header, a raw body.

The body is never looked into here, so 256 kB of PNG costs two copies and no parsing. Both lengths are checked before
anything is read: the peer may be a stranger who found the port.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from fused_jupyter.errors import ProtocolError

MAX_HEADER = 4 << 20
"""Bytes. A header carries arguments as text and, when code is published, its source."""

MAX_BODY = 2 << 30
"""Bytes. Results of `fused.run` in the kernel can be large; responses over HTTP have a limit of their own."""

_LENGTHS = struct.Struct("!II")


def pack(header: bytes, body_length: int) -> bytes:
    r"""What precedes the body on the wire.

    Raises:
        ProtocolError: the frame is larger than the peer would accept.

    >>> pack(b"{}", 5)
    b'\x00\x00\x00\x02\x00\x00\x00\x05{}'
    """
    _check(len(header), body_length)
    return _LENGTHS.pack(len(header), body_length) + header


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next header and body.

    Raises:
        EOFError: the peer closed the connection.
        ProtocolError: the lengths are out of range.
    """
    try:
        header_length, body_length = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        _check(header_length, body_length)
        header = await reader.readexactly(header_length)
        return header, await reader.readexactly(body_length) if body_length else b""
    except (asyncio.IncompleteReadError, ConnectionError) as exc:
        raise EOFError("the peer closed the connection") from exc


def read_frame_sync(sock: socket.socket) -> tuple[bytes, memoryview]:
    """The next header and body from a blocking socket; the body is writable, for arrays that are unpickled in place.

    Raises:
        EOFError: the peer closed the connection.
        ProtocolError: the lengths are out of range.
    """
    header_length, body_length = _LENGTHS.unpack(_receive(sock, _LENGTHS.size))
    _check(header_length, body_length)
    return bytes(_receive(sock, header_length)), _receive(sock, body_length)


def write_frame_sync(sock: socket.socket, header: bytes, *body: bytes | bytearray | memoryview) -> None:
    """Send one frame on a blocking socket; the body may come in pieces."""
    pieces = [memoryview(piece).cast("B") for piece in body if len(piece)]
    head = pack(header, sum(len(piece) for piece in pieces))
    if sum(len(piece) for piece in pieces) < 1 << 16:
        sock.sendall(b"".join([head, *pieces]))  # one system call and one wake-up of the peer
        return
    sock.sendall(head)
    for piece in pieces:
        sock.sendall(piece)


def _check(header_length: int, body_length: int) -> None:
    if header_length > MAX_HEADER:
        raise ProtocolError(f"a frame header of {header_length} bytes came, {MAX_HEADER} are allowed")
    if body_length > MAX_BODY:
        raise ProtocolError(f"a frame body of {body_length} bytes came, {MAX_BODY} are allowed")


def _receive(sock: socket.socket, length: int) -> memoryview:
    buffer = memoryview(bytearray(length))
    got = 0
    while got < length:
        count = sock.recv_into(buffer[got:])
        if count == 0:
            raise EOFError("the peer closed the connection")
        got += count
    return buffer
