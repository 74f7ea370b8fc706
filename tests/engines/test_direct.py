from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from fused_jupyter.engines.arena import SIZE, Arena
from fused_jupyter.engines.direct import DirectWorker
from fused_jupyter.errors import ProtocolError
from fused_jupyter.udfs import parse
from fused_jupyter.wire import (
    Message,
    Publish,
    Reply,
    Run,
    bodiless,
    decode,
    encode,
    read_frame_sync,
    write_frame_sync,
)

UDF = parse("def f():\n    return 1\n")
RUN = Run(id=7, udf="f", digest=UDF.digest, returns="object", arena=True)


class Puppet:
    """A worker whose every move the test makes."""

    def __init__(self) -> None:
        ours, self.messages = socket.socketpair()
        channel, self.channel = socket.socketpair()
        (stdout, self.stdout), (stderr, self.stderr) = os.pipe(), os.pipe()
        descriptors = (ours.detach(), channel.detach(), stdout, stderr)
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)
        self.worker = DirectWorker(descriptors)
        self.is_alone = False

    def hear(self) -> Message:
        return decode(read_frame_sync(self.messages)[0])

    def close(self) -> None:
        self.worker.close()
        self.messages.close()
        self.channel.close()
        os.close(self.stdout)
        os.close(self.stderr)


@pytest.fixture(params=[False, True], ids=["asleep", "eager"])
def puppet(request: pytest.FixtureRequest) -> Iterator[Puppet]:
    """Twice: whoever waits for the answer sleeps, or looks for it without a pause at first."""
    made = Puppet()
    made.worker._is_quick = made.is_alone = request.param
    yield made
    made.close()


def run(puppet: Puppet, heard: list[str] | None = None, seconds: float = 2.0) -> tuple[Message, bytes]:
    on_text = (lambda _, text: heard.append(text)) if heard is not None else (lambda *_: None)
    answer, body = puppet.worker.run(
        UDF, RUN, [b"args"], on_text=on_text, until=time.monotonic() + seconds, is_alone=puppet.is_alone
    )
    return answer, bytes(body)


def test_code_goes_once_and_answers_come_back(puppet: Puppet) -> None:
    """The second run of the same code sends no code."""
    for body in (b"first", b"second" * 30_000):  # the second is more than one read
        sender = threading.Thread(target=write_frame_sync, args=(puppet.messages, encode(Reply(id=7)), body))
        sender.start()
        assert run(puppet) == (Reply(id=7), body)
        sender.join()

    kinds = []
    while len(kinds) < 5:
        kinds.append(type(puppet.hear()).__name__)
    assert kinds == ["Publish", "Share", "Run", "Share", "Run"]  # it asks until it has the memory


def test_body_comes_through_the_arena_once_it_is_shared(puppet: Puppet) -> None:
    """The descriptor comes with the first answer; from then on a body may be elsewhere."""
    arena = Arena()
    write_frame_sync(puppet.messages, encode(Reply(id=7)), b"plain", descriptors=[arena.descriptor])
    assert run(puppet)[1] == b"plain"

    arena.put([b"x" * 60_000, memoryview(b"yz")])
    puppet.messages.sendall(bodiless(encode(Reply(id=7)), 60_002))

    assert run(puppet)[1] == b"x" * 60_000 + b"yz"
    assert not arena.fits(SIZE + 1)
    arena.close()


def test_output_is_heard_and_that_of_earlier_runs_is_not(puppet: Puppet) -> None:
    """What lay in the pipe before the run is another run's."""
    os.write(puppet.stdout, b"late\n")
    heard: list[str] = []
    write_frame_sync(puppet.messages, encode(Reply(id=7)))

    run(puppet, heard)

    assert heard == []


def test_deadline_is_kept_while_nothing_comes(puppet: Puppet) -> None:
    """Also where the UDF goes on printing."""
    os.write(puppet.stderr, b"still here\n")

    with pytest.raises(TimeoutError):
        run(puppet, seconds=0.2)


def test_deadline_is_kept_while_output_never_ends(puppet: Puppet) -> None:
    """Each time that we look there is more to hear."""
    begun = time.monotonic()

    def print_more(_: str, __: str) -> None:
        assert time.monotonic() - begun < 5
        os.write(puppet.stdout, b"and on\n")

    threading.Timer(0.05, os.write, (puppet.stdout, b"on\n")).start()

    with pytest.raises(TimeoutError):
        puppet.worker.run(UDF, RUN, [b""], on_text=print_more, until=begun + 0.2, is_alone=puppet.is_alone)


def test_half_an_answer_is_no_answer(puppet: Puppet) -> None:
    """The worker died while it sent."""
    puppet.messages.sendall(struct.pack("!II", 100, 0) + b"[")
    puppet.messages.close()

    with pytest.raises(EOFError):
        run(puppet)


@pytest.mark.parametrize(
    "frame", [encode(Reply(id=8)), encode(Publish(id=7, definition={})), b"garbage"], ids=["other", "kind", "garbage"]
)
def test_nonsense_is_refused(puppet: Puppet, frame: bytes) -> None:
    """A UDF that writes into our socket spoils its own run only."""
    write_frame_sync(puppet.messages, frame)

    with pytest.raises(ProtocolError):
        run(puppet)


def test_more_than_one_answer_is_refused(puppet: Puppet) -> None:
    """Nothing may be left that the next run takes for its own."""
    write_frame_sync(puppet.messages, encode(Reply(id=7)), b"one")
    write_frame_sync(puppet.messages, encode(Reply(id=7)), b"two")

    with pytest.raises(ProtocolError):
        run(puppet)


def test_answer_may_come_byte_by_byte(puppet: Puppet) -> None:
    """Whatever pieces the system makes of it."""
    ours, theirs = socket.socketpair()
    write_frame_sync(theirs, encode(Reply(id=7)), b"slow")
    theirs.close()
    whole = b"".join(iter(lambda: ours.recv(100), b""))
    ours.close()

    def trickle() -> None:
        for byte in whole:
            puppet.messages.sendall(bytes([byte]))
            time.sleep(0.001)

    thread = threading.Thread(target=trickle)
    thread.start()

    assert run(puppet)[1] == b"slow"
    thread.join()


def test_large_arguments_wait_for_a_slow_reader(puppet: Puppet) -> None:
    """More than the socket holds: the deadline counts for sending too."""
    big = [bytes(8 << 20)]

    with pytest.raises(TimeoutError):
        puppet.worker.run(UDF, RUN, big, on_text=lambda *_: None, until=time.monotonic() + 0.2)
