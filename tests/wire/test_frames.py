from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import ProtocolError
from fused_jupyter.wire import (
    MAX_BODY,
    MAX_HEADER,
    FrameReader,
    pack,
    read_frame,
    read_frame_sync,
    write_frame_sync,
)

frames = st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=400)), max_size=8)


def packed(sent: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(pack(header, len(body)) + body for header, body in sent)


async def read_all(data: bytes, cuts: Sequence[int] = ()) -> list[tuple[bytes, bytes]]:
    reader = asyncio.StreamReader()
    feeding = asyncio.create_task(feed(reader, data, cuts))
    found = []
    try:
        while True:
            found.append(await read_frame(reader))
    except EOFError:
        return found
    finally:
        await feeding


async def feed(reader: asyncio.StreamReader, data: bytes, cuts: Sequence[int]) -> None:
    for cut in [*cuts, len(data)]:
        reader.feed_data(data[:cut])
        data = data[cut:]
        await asyncio.sleep(0)
    reader.feed_eof()


@given(frames, st.lists(st.integers(1, 50)))
def test_frames_come_out_as_they_went_in(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """However the system cuts the stream into pieces."""
    assert asyncio.run(read_all(packed(sent), cuts)) == sent


READERS = {
    "one frame and no more": lambda sock: lambda: read_frame_sync(sock),
    "as much as there is": lambda sock: FrameReader(sock).read,
}


@pytest.mark.parametrize("reading", READERS.values(), ids=READERS)
@given(sent=st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=400) | st.just(bytes(70_000))), max_size=4))
def test_sync_readers_agree(reading: Any, sent: list[tuple[bytes, bytes]]) -> None:
    """They give the same frames from the same bytes, and then the end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: (theirs.sendall(packed(sent)), theirs.close()))
        sender.start()
        read = reading(ours)

        found = [read() for _ in sent]
        sender.join()

        assert [(header, bytes(body)) for header, body in found] == sent
        with pytest.raises(EOFError):
            read()


@given(st.binary(max_size=100), st.lists(st.binary(max_size=100), max_size=4))
def test_body_may_be_written_in_pieces(header: bytes, pieces: list[bytes]) -> None:
    """What a reader sees is one body."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_frame_sync(theirs, header, *pieces)

        assert read_frame_sync(ours) == (header, b"".join(pieces))


def test_large_body_of_an_array_is_written_uncopied_and_read_writable() -> None:
    """More than a socket holds; the other side may change it in place."""
    ours, theirs = socket.socketpair()
    doubles = memoryview(bytearray(3_000_000)).cast("d")
    with ours, theirs:
        writer = threading.Thread(target=write_frame_sync, args=(theirs, b"{}", doubles, b"end"))
        writer.start()

        header, body = read_frame_sync(ours)
        writer.join()

        assert (header, len(body), bytes(body[-3:])) == (b"{}", 3_000_003, b"end")
        assert not body.readonly


LENGTHS = [(MAX_HEADER + 1, 0), (0, MAX_BODY + 1), (2**32 - 1, 0), (0, 2**32 - 1)]
"""The last two are what -1 looks like."""


@pytest.mark.parametrize("lengths", LENGTHS)
def test_lengths_out_of_range_are_refused_by_every_reader(lengths: tuple[int, int]) -> None:
    """Before a byte of the frame itself is read or room is made for it."""
    data = struct.pack("!II", *lengths)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)

        with pytest.raises(ProtocolError):
            read_frame_sync(ours)
    with pytest.raises(ProtocolError):
        asyncio.run(read_all(data))


def test_frame_that_the_peer_would_refuse_is_not_sent() -> None:
    """The sender learns it, not the receiver."""
    with pytest.raises(ProtocolError, match="header"):
        pack(bytes(MAX_HEADER + 1), 0)
    with pytest.raises(ProtocolError, match="body"):
        pack(b"", MAX_BODY + 1)


@pytest.mark.parametrize("length", [0, 3, 7, 8, 10, 14])
def test_truncated_frame_is_the_end(length: int) -> None:
    """A peer that dies midway leaves no half frame behind."""
    data = packed([(b"head", b"body")])[:length]
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(data)

        with pytest.raises(EOFError):
            read_frame_sync(ours)
    assert asyncio.run(read_all(data)) == []
