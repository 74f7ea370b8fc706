from __future__ import annotations

from typing import Any

import pytest

from fused_jupyter.wire import Reply, Run, cut

WHOLE = b"0123456789"
KEPT = Reply(id=1, etag='"e"')


@pytest.mark.parametrize(
    ("part", "start", "body"),
    [
        ((0, 4), 0, b"0123"),
        ((4, None), 4, b"456789"),
        ((-3, None), 7, b"789"),
        ((-30, None), 0, WHOLE),
        ((8, 30), 8, b"89"),
        ((0, 0), 0, b""),
        ((10, None), 10, b""),
    ],
)
def test_a_part_is_a_slice(part: tuple[int, int | None], start: int, body: bytes) -> None:
    """It says where it starts and how long the whole is."""
    reply, piece = cut(Run(id=1, part=part), KEPT, WHOLE)

    assert (reply.start, reply.length, piece) == (start, 10, body)


@pytest.mark.parametrize(
    ("run", "reply"),
    [
        ({}, {}),
        ({"part": (0, 4)}, {"etag": ""}),
        ({"part": (0, 4)}, {"status": 404}),
        ({"part": (0, 4)}, {"status": 304}),
        ({"part": (0, 4), "if_range": '"older"'}, {}),
        ({"part": (0, 4), "if_range": 'W/"e"'}, {}),
        ({"part": (0, 4), "if_range": "Sun, 06 Nov 1994 08:49:37 GMT"}, {}),
    ],
    ids=str,
)
def test_all_else_stays_whole(run: dict[str, Any], reply: dict[str, Any]) -> None:
    """What is made anew each time, what is no result, and what is not any more what the reader has begun with."""
    given = Reply(id=1, **({"etag": '"e"'} | reply))

    assert cut(Run(id=1, **run), given, WHOLE) == (given, WHOLE)


def test_the_same_file_goes_on() -> None:
    """`If-Range` with the ETag that it has."""
    reply, piece = cut(Run(id=1, part=(8, None), if_range='"e"'), KEPT, WHOLE)

    assert (reply.length, piece) == (10, b"89")


def test_nothing_has_no_parts() -> None:
    """An empty result is sent as such, whichever part of it is wanted."""
    assert cut(Run(id=1, part=(-5, None)), KEPT, b"") == (KEPT, b"")
