from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.wire import Reply, Run, cut
from fused_jupyter.wire.http.ranges import NOTHING, parse_range

WHOLE = bytes(range(256))


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=--5", "bytes=1.5-2", "lines=0-5"),
        *(
            "bytes=0-1,5-6",
            "bytes=0-1, -5",
            "bytes 0-5",
            "bytes=0-5\n",
            "bytes=+1-2",
            "bytes=٣-5",
            "bytes=" + "9" * 40 + "-",
        ),
    ],
)
def test_what_is_no_single_range_is_the_whole(header: str | None) -> None:
    """As RFC 9110 asks: what a server does not understand it passes over."""
    assert parse_range(header) is None


@given(st.integers(0, 300), st.integers(0, 300))
def test_both_ends_of_a_range_belong_to_it(first: int, last: int) -> None:
    """`a-b` is the bytes from a to b."""
    part = parse_range(f"bytes={first}-{last}")

    assert part == (None if last < first else (first, last + 1))


@given(st.integers(0, 300))
def test_open_ranges_go_to_the_end(count: int) -> None:
    """`a-` starts there, `-n` is the last n; 0 of them is nothing."""
    assert parse_range(f"Bytes={count}-") == (count, None)
    assert parse_range(f"bytes=-{count}") == ((-count, None) if count else NOTHING)


@given(st.lists(st.integers(1, 60), max_size=8))
def test_a_file_read_in_parts_is_the_file(lengths: list[int]) -> None:
    """Part after part, of any lengths, as readers of Parquet and TIFF fetch them."""
    got, start = b"", 0
    for length in [*lengths, 10**6]:
        run = Run(id=1, part=parse_range(f"bytes={start}-{start + length - 1}"))
        reply, body = cut(run, Reply(id=1, etag='"e"'), WHOLE)
        assert (reply.start, reply.length) == (min(start, 256), 256)
        got, start = got + body, start + length

    assert got == WHOLE
