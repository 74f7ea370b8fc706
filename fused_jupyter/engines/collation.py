"""Two streams of bytes become text in the order in which it was written."""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Callable
from typing import Literal

Stream = Literal["stdout", "stderr"]
OnText = Callable[[Stream, str], None]

MARK = b"\xff\x00fused-turn\x00"
"""Stands in both streams where Python turned from one to the other.

No text in UTF-8 holds it, and its first byte comes only once, so that a part of it at the end of a read is known.
"""

_MOST_HELD = 16 << 20
"""Characters of one stream that wait for a mark in the other; a UDF may have closed what marks go through."""

_UTF8 = codecs.getincrementaldecoder("utf-8")


class Collation:
    r"""What one run prints.

    What stands after the third mark of one stream was written after all that stands before the third mark of the other,
    and is held back until that has come. Between marks, text passes as it comes.

    >>> printed = Collation(lambda stream, text: print(stream, text))
    >>> printed.feed("stdout", b"a" + MARK + MARK + b"c")
    stdout a
    >>> printed.feed("stderr", MARK + b"b" + MARK)
    stderr b
    stdout c
    """

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._streams: dict[Stream, _Incoming] = {"stdout": _Incoming(), "stderr": _Incoming()}
        self._turn = 0
        """Marks that both streams have shown."""
        self._held: deque[tuple[int, Stream, str]] = deque()
        self._held_length = 0

    def feed(self, stream: Stream, data: bytes) -> None:
        """Take what was read."""
        incoming = self._streams[stream]
        for number, part in enumerate(incoming.parts(data)):
            if number:
                incoming.turn += 1
                self._pass_on(min(each.turn for each in self._streams.values()))
            if text := incoming.decoder.decode(part):
                self._take(stream, text)

    def finish(self) -> None:
        """Pass on the rest: nothing more will come."""
        for stream, incoming in self._streams.items():
            if text := incoming.decoder.decode(incoming.rest, final=True):
                self._take(stream, text)
        self._give_up_waiting()

    def _take(self, stream: Stream, text: str) -> None:
        turn = self._streams[stream].turn
        if turn <= self._turn:
            self._on_text(stream, text)
            return
        self._held.append((turn, stream, text))
        self._held_length += len(text)
        if self._held_length > _MOST_HELD:
            self._give_up_waiting()

    def _pass_on(self, turn: int) -> None:
        self._turn = turn
        while self._held and self._held[0][0] <= turn:
            _, stream, text = self._held.popleft()
            self._held_length -= len(text)
            self._on_text(stream, text)

    def _give_up_waiting(self) -> None:
        latest = max(each.turn for each in self._streams.values())
        for each in self._streams.values():
            each.turn = latest
        self._pass_on(latest)


class _Incoming:
    """One of the streams."""

    def __init__(self) -> None:
        self.turn = 0
        """Marks that it has shown."""
        self.rest = b""
        """The end of what was read, where it may be the beginning of a mark."""
        self.decoder = _UTF8("replace")

    def parts(self, data: bytes) -> list[bytes]:
        """What stands before, between and after marks."""
        *parts, last = (self.rest + data).split(MARK)
        begin = last.rfind(MARK[:1], -len(MARK) + 1)
        is_begun = begin >= 0 and MARK.startswith(last[begin:])
        self.rest = last[begin:] if is_begun else b""
        return [*parts, last[:begin] if is_begun else last]
