"""What a UDF printed, up to a limit, and passed on as it comes."""

from __future__ import annotations

from fused_jupyter.engines.collation import OnText, Stream


class Printed:
    """What one run prints.

    Args:
        limit: characters of each stream; the rest is not kept, and nobody hears of it.
        on_text: hears it as it comes.

    >>> printed = Printed(3, None)
    >>> printed.add("stdout", "abc")
    >>> printed.text("stdout")
    'abc'
    """

    def __init__(self, limit: int, on_text: OnText | None) -> None:
        self._pieces: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._room: dict[Stream, int] = dict.fromkeys(self._pieces, limit)
        self._limit = limit
        self._on_text = on_text

    def text(self, stream: Stream) -> str:
        """All of a stream that was kept."""
        return "".join(self._pieces[stream])

    def add(self, stream: Stream, text: str) -> None:
        """Take what was printed."""
        room = self._room[stream]
        if room < 0:
            return
        self._room[stream] = room - len(text)
        if len(text) > room:
            text = f"{text[:room]}\n… the rest of {stream} is not kept (FUSED_OUTPUT_LIMIT={self._limit})\n"
        self._pieces[stream].append(text)
        if self._on_text is not None:
            self._on_text(stream, text)
