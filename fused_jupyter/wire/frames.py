"""Length-prefixed frames: 4 bytes header length, 4 bytes body length (big-endian), a JSON header, a raw body.

The body is never looked into here, so 256 kB of PNG costs two copies and no parsing. Both lengths are checked before
anything is read: the peer may be a stranger who found the port.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence

from fused_jupyter.errors import ProtocolError

MAX_HEADER = 4 << 20
"""Bytes. A header carries arguments as text and, when code is published, its source."""

MAX_BODY = 2 << 30
"""Bytes. Results of `fused.run` in the kernel can be large; responses over HTTP have a limit of their own."""

MAX_PIECES = 1024
"""Of a frame in one system call; what Linux and macOS take."""

_AT_ONCE = 1 << 16
"""Bytes of one read."""

_LENGTHS = struct.Struct("!II")

ELSEWHERE = 1 << 31
"""Added to the length of a header: the body comes by another way, on which both sides have agreed."""

PREFIX = _LENGTHS.size
"""Bytes with which a frame begins, that tell how long it is."""


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
        header_length, body_length = _usual_lengths(await reader.readexactly(PREFIX))
        header = await reader.readexactly(header_length)
        return header, await reader.readexactly(body_length) if body_length else b""
    except (asyncio.IncompleteReadError, ConnectionError) as exc:
        raise EOFError("the peer closed the connection") from exc


class FrameReader:
    """Reads frames from a blocking socket, each small one with a single system call.

    Args:
        sock: where they come from; nobody else may read from it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_AT_ONCE))
        self._start = self._end = 0

    def read(self) -> tuple[bytes, memoryview]:
        """The next header and body; the body is writable, for arrays that are unpickled in place.

        Raises:
            EOFError: the peer closed the connection.
            ProtocolError: the lengths are out of range.
        """
        header_length, body_length = _usual_lengths(self._take(PREFIX))
        return bytes(self._take(header_length)), self._take(body_length) if body_length else memoryview(b"")

    def _take(self, length: int) -> memoryview:
        """So many bytes, in a buffer of their own."""
        if self._end == self._start:
            self._start = self._end = 0
            if length <= _AT_ONCE:
                self._end = self._sock.recv_into(self._buffer)
        here = min(length, self._end - self._start)
        taken = memoryview(bytearray(length))
        taken[:here] = self._buffer[self._start : self._start + here]
        self._start += here
        while here < length:
            count = self._sock.recv_into(taken[here:], 0, socket.MSG_WAITALL)
            if count == 0:
                raise EOFError("the peer closed the connection")
            here += count
        return taken


def read_frame_sync(sock: socket.socket) -> tuple[bytes, memoryview]:
    """The next header and body from a blocking socket, and no byte of what comes behind; else as `FrameReader.read`.

    Raises:
        EOFError: the peer closed the connection.
        ProtocolError: the lengths are out of range.
    """
    header_length, body_length = _usual_lengths(_receive(sock, PREFIX))
    return bytes(_receive(sock, header_length)), _receive(sock, body_length) if body_length else memoryview(b"")


def write_frame_sync(
    sock: socket.socket, header: bytes, *body: bytes | bytearray | memoryview, descriptors: Sequence[int] = ()
) -> None:
    """Send one frame on a blocking socket; the body may come in pieces, and open files may go along."""
    pieces = frame_pieces(header, *body)
    if descriptors:
        pieces = unsent(pieces, socket.send_fds(sock, pieces[:MAX_PIECES], descriptors))
    while pieces:
        pieces = unsent(pieces, sock.sendmsg(pieces[:MAX_PIECES]))


def bodiless(header: bytes, body_length: int) -> bytes:
    """A frame whose body goes by another way.

    >>> frame_lengths(bodiless(b"{}", 5)[:PREFIX])
    (2, 5, True)
    """
    _check(len(header), body_length)
    return _LENGTHS.pack(len(header) | ELSEWHERE, body_length) + header


def frame_pieces(header: bytes, *body: bytes | bytearray | memoryview) -> list[memoryview]:
    """One frame, uncopied, for a single system call: the peer wakes once.

    Raises:
        ProtocolError: the frame is larger than the peer would accept.
    """
    pieces = [memoryview(piece).cast("B") for piece in body if len(piece)]
    return [memoryview(pack(header, sum(map(len, pieces)))), *pieces]


def unsent(pieces: list[memoryview], count: int) -> list[memoryview]:
    """What is left of a frame of which so many bytes were sent.

    >>> [bytes(piece) for piece in unsent([memoryview(b"abc"), memoryview(b"def")], 4)]
    [b'ef']
    """
    for number, piece in enumerate(pieces):
        if count < len(piece):
            return [piece[count:], *pieces[number + 1 :]]
        count -= len(piece)
    return []


def frame_lengths(start: bytes | memoryview) -> tuple[int, int, bool]:
    """Lengths of header and body, from the `PREFIX` bytes with which a frame begins, and whether the body is elsewhere.

    Raises:
        ProtocolError: they are out of range.
    """
    header_length, body_length = _LENGTHS.unpack(start)
    is_elsewhere = header_length >= ELSEWHERE
    header_length &= ~ELSEWHERE
    _check(header_length, body_length)
    return header_length, body_length, is_elsewhere


def _usual_lengths(start: bytes | memoryview) -> tuple[int, int]:
    header_length, body_length = _LENGTHS.unpack(start)
    _check(header_length, body_length)  # also refuses a body that is elsewhere: nobody here has agreed on a way
    return header_length, body_length


def _check(header_length: int, body_length: int) -> None:
    if header_length > MAX_HEADER:
        raise ProtocolError(f"a frame header of {header_length} bytes came, {MAX_HEADER} are allowed")
    if body_length > MAX_BODY:
        raise ProtocolError(f"a frame body of {body_length} bytes came, {MAX_BODY} are allowed")


def _receive(sock: socket.socket, length: int) -> memoryview:
    buffer = memoryview(bytearray(length))
    got = 0
    while got < length:
        count = sock.recv_into(buffer[got:], 0, socket.MSG_WAITALL)
        if count == 0:
            raise EOFError("the peer closed the connection")
        got += count
    return buffer
