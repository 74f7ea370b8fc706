"""A worker in the hands of the kernel: its runs go straight to it, one hop instead of two and no event loop between.

The host lends the descriptors and keeps the process: it is the one who kills it, replaces it and knows how it ended.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Sequence

from fused_jupyter.engines.arena import IS_SUPPORTED, Arena
from fused_jupyter.engines.collation import Collation, OnText, Stream
from fused_jupyter.errors import ProtocolError
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import (
    MAX_PIECES,
    PREFIX,
    Failure,
    Message,
    Publish,
    Reply,
    Run,
    Share,
    decode,
    encode,
    frame_lengths,
    frame_pieces,
    unsent,
)

LENT = 4
"""Descriptors of a leased worker: the sockets for messages and for fresh pipes, stdout, stderr."""

LEASE_ID = struct.Struct("!Q")
"""What goes with them from the host to the kernel."""

_DESCRIPTOR = struct.Struct("i")

_HANG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL
_AT_ONCE = 1 << 16
"""Bytes of one read of an answer."""
_READS = 32
"""Reads of a pipe in one go, as in `pipes`."""
_EAGER_SECONDS = 0.0004
"""For which whoever waits looks for the answer again and again: to be put to sleep and woken costs 0.06 ms."""
_HAS_CORES = (os.cpu_count() or 1) > 1


class UnreadError(EOFError):
    """A worker ended before it had read the run, which may be sent to another one: nothing of it has happened.

    The system tells it apart: a connection whose other end had more to read is reset, not closed.
    """


class DirectWorker:
    """The ends of a leased worker. One run at a time, from any thread; all descriptors are non-blocking.

    Args:
        descriptors: as `LENT` says.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        messages, channel, stdout, stderr = descriptors
        self._messages = socket.socket(fileno=messages)
        self._channel = socket.socket(fileno=channel)
        self._pipes: dict[int, Stream] = {stdout: "stdout", stderr: "stderr"}
        self._poll = select.poll()
        for descriptor in (messages, stdout, stderr):
            self._poll.register(descriptor, select.POLLIN)
        self._late = select.poll()
        for descriptor in self._pipes:
            self._late.register(descriptor, select.POLLIN)
        self._asked = select.poll()
        self._asked.register(channel, select.POLLIN)
        self._buffer = memoryview(bytearray(_AT_ONCE))
        self._arena: Arena | None = None
        self._printed: Collation | None = None
        self._is_quick = False
        """Whether its last run took no longer than looking eagerly does, so that the next one is likely not to."""
        self.known: set[str] = set()
        """Digests of the code that it got from here."""

    @property
    def needs_pipes(self) -> bool:
        """Whether children that outlive their run hold its pipes, so that only the host can give it others."""
        return bool(self._asked.poll(0))

    def run(
        self,
        definition: UdfDefinition,
        run: Run,
        body: Sequence[bytes | memoryview],
        *,
        on_text: OnText,
        until: float,
        is_alone: bool = False,
    ) -> tuple[Reply | Failure, memoryview]:
        """Send a run and wait for its answer; what the UDF prints goes to `on_text` as it comes.

        Args:
            definition: the code.
            run: the request.
            body: its arguments, in pieces.
            on_text: takes what the UDF prints.
            until: `time.monotonic` of the deadline.
            is_alone: whether the caller has no other run under way, which a core may be needed for.

        Returns:
            The answer, and its body, which may be written to.

        Raises:
            UnreadError: the process ended before the run began.
            EOFError: the process ended before it answered.
            ProtocolError: the UDF wrote into our socket.
            TimeoutError: the deadline passed; it runs on.
        """
        self._hear()  # what a thread of an earlier UDF wrote is nobody's
        self._printed = Collation(on_text)
        try:
            if definition.digest not in self.known:
                self._send(Publish(id=0, definition=definition.to_json()), (), until=until)
                self.known.add(definition.digest)
            if self._arena is None and IS_SUPPORTED:
                self._send(Share(id=0), (), until=until)
            self._send(run, body, until=until)
            asked = time.perf_counter()
            if is_alone and self._is_quick:
                self._look_eagerly(asked + _EAGER_SECONDS)
            answer = self._answer(until)
            self._is_quick = _HAS_CORES and time.perf_counter() - asked < 2 * _EAGER_SECONDS
            if answer[0].id != run.id:
                raise ProtocolError("an answer came that nobody asked for")
        finally:
            self._hear()  # printed before the answer, or the end, so it is in the pipes by now
            self._printed.finish()
            self._printed = None
        return answer

    def close(self) -> None:
        """Let go of the descriptors; the process goes on."""
        if self._arena is not None:
            self._arena.close()
        self._messages.close()
        self._channel.close()
        for descriptor in self._pipes:
            os.close(descriptor)
        self._pipes = {}

    def _send(self, message: Message, body: Sequence[bytes | memoryview], *, until: float) -> None:
        pieces = frame_pieces(encode(message), *body)
        while pieces:
            try:
                pieces = unsent(pieces, self._messages.sendmsg(pieces[:MAX_PIECES]))
            except BlockingIOError:
                _wait_for(self._messages, select.POLLOUT, until=until)
            except ConnectionError as exc:
                raise UnreadError("the worker ended") from exc

    def _answer(self, until: float) -> tuple[Reply | Failure, memoryview]:
        self._wait_for_answer(until)
        begun = self._begin_frame(until)
        header_length, body_length, is_elsewhere = frame_lengths(begun[:PREFIX])
        header, rest = begun[PREFIX : PREFIX + header_length], begun[PREFIX + header_length :]
        if len(rest) > (0 if is_elsewhere else body_length):
            raise ProtocolError("more came than the answer to one run")
        answer = decode(bytes(self._filled(header, header_length, until=until)))
        if not isinstance(answer, (Reply, Failure)):
            raise ProtocolError(f"a worker sent a {type(answer).__name__}")
        if is_elsewhere and self._arena is not None:
            return answer, self._arena.take(body_length)
        return answer, self._filled(rest, body_length, until=until)

    def _begin_frame(self, until: float) -> memoryview:
        """The beginning of a frame; all of a small one. No other frame comes before the next run."""
        count = 0
        while count < PREFIX:
            count += self._receive(self._buffer[count:], until=until)
        return self._buffer[:count]

    def _filled(self, begun: memoryview, length: int, *, until: float) -> memoryview:
        """A copy of what has begun, with the rest of it."""
        whole = memoryview(bytearray(length))
        got = len(begun)
        whole[:got] = begun
        while got < length:
            got += self._receive(whole[got:], until=until)
        return whole

    def _look_eagerly(self, until: float) -> None:
        """Wait without sleeping until something has come, or until that moment of `time.perf_counter`."""
        while not self._poll.poll(0) and time.perf_counter() < until:
            pass

    def _wait_for_answer(self, until: float) -> None:
        """Hear what is printed until the answer begins."""
        messages = self._messages.fileno()
        while True:
            left = until - time.monotonic()
            events = self._poll.poll(max(0.0, left) * 1000)
            if any(descriptor == messages for descriptor, _ in events):
                return
            if not events or left <= 0:  # one that prints without end always has something to hear
                raise TimeoutError
            for descriptor, event in events:
                self._drain(descriptor, event)

    def _receive(self, buffer: memoryview, *, until: float) -> int:
        """Some bytes, at least one."""
        while True:
            try:
                count = self._receive_into(buffer)
            except BlockingIOError:
                _wait_for(self._messages, select.POLLIN, until=until)
                continue
            except ConnectionError as exc:
                raise UnreadError("the worker ended") from exc
            if count == 0:
                raise EOFError("the worker ended")
            return count

    def _receive_into(self, buffer: memoryview) -> int:
        if self._arena is not None or not IS_SUPPORTED:
            return self._messages.recv_into(buffer)
        count, extras, _, _ = self._messages.recvmsg_into([buffer], socket.CMSG_SPACE(_DESCRIPTOR.size))
        for _, _, data in extras:
            self._arena = Arena(_DESCRIPTOR.unpack(data[: _DESCRIPTOR.size])[0])
        return count

    def _hear(self) -> None:
        for descriptor, event in self._late.poll(0):
            self._drain(descriptor, event)

    def _drain(self, descriptor: int, event: int) -> None:
        for _ in range(_READS):
            try:
                data = os.read(descriptor, 65536)
            except BlockingIOError:
                return
            if not data:
                if event & _HANG_UP:  # the worker closed it: nothing will come any more
                    self._poll.unregister(descriptor)
                    self._late.unregister(descriptor)
                return
            if self._printed is not None:
                self._printed.feed(self._pipes[descriptor], data)


def _wait_for(sock: socket.socket, event: int, *, until: float) -> None:
    poll = select.poll()
    poll.register(sock, event)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise TimeoutError
