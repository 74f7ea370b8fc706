"""What a UDF prints, on the host's side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial

from fused_jupyter.engines.collation import Collation, OnText, Stream
from fused_jupyter.engines.streams import ASK, GIVE

_READS = 32
"""Reads of a pipe in one go: more than a pipe holds, and not for ever where a UDF prints without end."""


class OutputPipes:
    """The reading ends of a worker's stdout and stderr.

    Args:
        descriptors: of stdout and stderr.
        channel: where the worker asks for other pipes, when children that outlive their run hold the present ones.
    """

    def __init__(self, descriptors: Sequence[int], channel: socket.socket) -> None:
        self._pipes = self._made(descriptors)
        self._abandoned: list[_Pipe] = []
        self._printed: Collation | None = None
        self._channel = channel
        self._channel.settimeout(0)

    def open(self, on_text: OnText) -> None:
        """Begin a run, whose output goes to `on_text`."""
        if self._is_asked():
            self._renew()
        for pipe in self._pipes:
            pipe.drain()  # what a thread of an earlier UDF wrote
        self._printed = Collation(on_text)

    def shut(self) -> None:
        """End a run. What was printed before its answer is in the pipes by now; nothing can overtake it."""
        for pipe in self._pipes:
            pipe.drain()
        if self._printed is not None:
            self._printed.finish()
        self._printed = None

    def lend(self) -> tuple[int, ...]:
        """The descriptors for somebody else who reads: the channel, stdout, stderr.

        Raises:
            EOFError: the worker closed them.
        """
        if self._is_asked():
            self._renew()
        if not all(pipe.is_open for pipe in self._pipes):
            raise EOFError("the worker ended")
        for pipe in self._pipes:
            pipe.pause()
        return (self._channel.fileno(), *(pipe.descriptor for pipe in self._pipes))

    def take_back(self) -> None:
        """Read again."""
        for pipe in self._pipes:
            pipe.resume()

    def close(self) -> None:
        """Hang up."""
        for pipe in (*self._pipes, *self._abandoned):
            pipe.close()
        self._channel.close()

    def _made(self, descriptors: Sequence[int]) -> list[_Pipe]:
        stdout, stderr = descriptors
        return [_Pipe(stdout, partial(self._feed, "stdout")), _Pipe(stderr, partial(self._feed, "stderr"))]

    def _feed(self, name: Stream, data: bytes) -> None:
        if self._printed is not None:
            self._printed.feed(name, data)

    def _is_asked(self) -> bool:
        with contextlib.suppress(OSError):
            return self._channel.recv(len(ASK)) == ASK
        return False

    def _renew(self) -> None:
        """Give the worker pipes that no child of an earlier run has; those are read on, so that the children live."""
        self._abandoned = [pipe for pipe in (*self._abandoned, *self._pipes) if pipe.is_open]
        for pipe in self._abandoned:
            pipe.on_data = _forget
        ends = [os.pipe() for _ in self._pipes]
        self._pipes = self._made([read_end for read_end, _ in ends])
        with contextlib.suppress(OSError):  # the worker died; the run will notice
            socket.send_fds(self._channel, [GIVE], [write_end for _, write_end in ends])
        for _, write_end in ends:
            os.close(write_end)


class _Pipe:
    """One reading end."""

    def __init__(self, descriptor: int, on_data: Callable[[bytes], None]) -> None:
        self.on_data = on_data
        self.is_open = True
        self.descriptor = descriptor
        os.set_blocking(descriptor, False)
        self.resume()

    def pause(self) -> None:
        asyncio.get_running_loop().remove_reader(self.descriptor)

    def resume(self) -> None:
        if self.is_open:
            asyncio.get_running_loop().add_reader(self.descriptor, self.drain)

    def drain(self) -> None:
        for _ in range(_READS):
            if not self.is_open:
                return
            try:
                data = os.read(self.descriptor, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            self.on_data(data)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().remove_reader(self.descriptor)
            os.close(self.descriptor)


def _forget(data: bytes) -> None:
    """Nobody's output."""
