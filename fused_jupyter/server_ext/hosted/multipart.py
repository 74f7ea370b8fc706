"""A form with a file in it, as it comes in: the file's bytes go on at once, and nothing of it stays in memory."""

from __future__ import annotations

import re
from collections.abc import Callable

from fused_jupyter.errors import ArgumentError

_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE | re.DOTALL
)
_NAME = re.compile(rb"""content-disposition:\s*form-data\s*;(?:[^\r\n]*;)?\s*name="([^"\r\n]*)\"""", re.IGNORECASE)
_LONGEST_HEAD = 16_384


class FormReader:
    r"""Finds one part of a form in the pieces that come.

    Args:
        content_type: the header of the request.
        field: the part that is wanted.
        take: gets its bytes as they come.

    Raises:
        ArgumentError: it is no such form.

    >>> got = bytearray()
    >>> form = FormReader("multipart/form-data; boundary=x", field="file", take=got.extend)
    >>> form.feed(b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n1,')
    >>> form.feed(b"2\r\n--x--\r\n")
    >>> form.close()
    >>> bytes(got)
    b'1,2'
    """

    def __init__(self, content_type: str, *, field: str, take: Callable[[bytes], object]) -> None:
        found = _BOUNDARY.match(content_type)
        if found is None:
            raise ArgumentError(f"Content-Type: got {content_type[:80]!r}, need multipart/form-data with a boundary")
        self._line = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
        self._field = field
        self._take = take
        self._buffer = b"\r\n"  # the first boundary has no line before it
        self._read: Callable[[], bool] = self._skip
        self._is_wanted = False
        self._seen = 0
        self._has_ended = False

    def feed(self, piece: bytes) -> None:
        """Take what came.

        Raises:
            ArgumentError: it is no form.
        """
        self._buffer += piece
        while self._read():
            pass

    def close(self) -> None:
        """See whether all is there.

        Raises:
            ArgumentError: the form breaks off, or the part is not there, or there twice.
        """
        if not self._has_ended or self._seen != 1:
            what = f"has {self._seen} parts" if self._has_ended else "breaks off"
            raise ArgumentError(f"the form {what}; need one part that is called {self._field!r}")

    def _skip(self) -> bool:
        """What stands before the first boundary."""
        return self._until_line(lambda _: None)

    def _content(self) -> bool:
        return self._until_line(self._take if self._is_wanted else lambda _: None)

    def _until_line(self, take: Callable[[bytes], object]) -> bool:
        """Give what comes before a boundary; of what may be the begin of one, nothing yet."""
        before, line, rest = self._buffer.partition(self._line)
        if line:
            take(before)
            self._buffer, self._read = rest, self._after_line
            return True
        safe = max(0, len(self._buffer) - len(self._line) + 1)
        take(self._buffer[:safe])
        self._buffer = self._buffer[safe:]
        return False

    def _after_line(self) -> bool:
        """A boundary ends with a line, or with two dashes where the form ends."""
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._has_ended, self._read = True, self._rest
        elif self._buffer.startswith(b"\r\n"):
            self._read = self._head
        else:
            raise ArgumentError("the form is broken behind a boundary")
        return True

    def _head(self) -> bool:
        """The headers of a part."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            if len(self._buffer) > _LONGEST_HEAD:
                raise ArgumentError(f"the form has a part with headers of more than {_LONGEST_HEAD} bytes")
            return False
        name = _NAME.search(head)
        self._is_wanted = name is not None and name[1] == self._field.encode()
        self._seen += self._is_wanted
        self._buffer, self._read = rest, self._content
        return True

    def _rest(self) -> bool:
        """Behind the end there is nothing of interest."""
        self._buffer = b""
        return False
