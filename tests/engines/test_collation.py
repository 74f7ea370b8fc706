from __future__ import annotations

from itertools import groupby, pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from fused_jupyter.engines.collation import MARK, Collation, Stream

writes = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(min_size=1, max_size=8)), max_size=12)
cuts = st.lists(st.integers(0, 400), max_size=30)


def as_written(writes: list[tuple[Stream, str]]) -> dict[Stream, bytes]:
    """What two pipes hold when Python writes this, with a mark in both at each turn."""
    pipes: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
    for before, (stream, text) in pairwise([("", ""), *writes]):
        if before[0] not in {"", stream}:
            pipes = {name: data + MARK for name, data in pipes.items()}
        pipes[stream] += text.encode()
    return pipes


def joined(pieces: list[tuple[Stream, str]]) -> list[tuple[Stream, str]]:
    """Neighbours of one stream as one piece."""
    return [(stream, "".join(text for _, text in group)) for stream, group in groupby(pieces, lambda piece: piece[0])]


def read(pipes: dict[Stream, bytes], order: list[bool], sizes: list[int]) -> list[tuple[Stream, str]]:
    """What comes out when the pipes are read in pieces of these sizes, now one and now the other."""
    pieces: list[tuple[Stream, str]] = []
    printed = Collation(lambda stream, text: pieces.append((stream, text)))
    for is_stdout, size in zip(order, sizes, strict=False):
        stream: Stream = "stdout" if is_stdout else "stderr"
        printed.feed(stream, pipes[stream][:size])
        pipes[stream] = pipes[stream][size:]
    for stream in ("stderr", "stdout"):
        printed.feed(stream, pipes[stream])
    printed.finish()
    return pieces


@given(writes, st.lists(st.booleans(), max_size=30), cuts)
def test_order_of_writing_is_kept(writes: list[tuple[Stream, str]], order: list[bool], sizes: list[int]) -> None:
    """However the two pipes are read, and wherever a read ends: within a character, within a mark."""
    assert joined(read(as_written(writes), order, sizes)) == joined(writes)


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.booleans(), max_size=20), cuts)
def test_any_bytes_are_kept(stdout: bytes, stderr: bytes, order: list[bool], sizes: list[int]) -> None:
    """Also what begins like a mark; each stream in its own order."""
    assume(MARK not in stdout + MARK[:5])
    assume(MARK not in MARK[:1] + stderr)
    pieces = read({"stdout": stdout + MARK[:5], "stderr": MARK[:1] + stderr}, order, sizes)

    for name, data in (("stdout", stdout + MARK[:5]), ("stderr", MARK[:1] + stderr)):
        assert "".join(text for stream, text in pieces if stream == name) == data.decode(errors="replace")


def test_text_is_not_held_back_without_need() -> None:
    """It passes as it comes until a turn is missing in the other stream."""
    pieces: list[str] = []
    printed = Collation(lambda _, text: pieces.append(text))

    printed.feed("stdout", b"a")
    assert pieces == ["a"]
    printed.feed("stdout", MARK + b"c")
    assert pieces == ["a"]
    printed.feed("stderr", b"b" + MARK)
    assert pieces == ["a", "b", "c"]


def test_mark_that_never_comes_holds_nothing_for_ever() -> None:
    """A UDF may have closed what marks go through: memory does not fill, and nothing is lost."""
    pieces: list[str] = []
    printed = Collation(lambda _, text: pieces.append(text))
    printed.feed("stdout", MARK)

    for _ in range(40):
        printed.feed("stdout", b"x" * (1 << 20))
    passed = sum(len(piece) for piece in pieces)
    printed.finish()

    assert passed > 20 << 20
    assert sum(len(piece) for piece in pieces) == 40 << 20
