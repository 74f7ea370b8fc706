"""Parts of an answer, for readers that fetch a large file piece by piece."""

from __future__ import annotations

from dataclasses import replace

from fused_jupyter.wire.messages import Reply, Run


def cut(run: Run, reply: Reply, body: bytes) -> tuple[Reply, bytes]:
    """The part of an answer that a request wants, cut where the whole is: 64 kB of a file cross the wire as 64 kB.

    Only what has an ETag is cut: any other result is made anew each time, and pieces of two runs are no file.

    >>> reply, body = cut(Run(id=1, part=(-2, None)), Reply(id=1, etag='"e"'), b"abcde")
    >>> body, reply.start, reply.length
    (b'de', 3, 5)
    """
    if run.part is None or reply.status != 200 or not reply.etag or not body:
        return reply, body
    if run.if_range not in {None, reply.etag}:
        return reply, body
    start, stop, _ = slice(*run.part).indices(len(body))
    return replace(reply, start=start, length=len(body)), body[start:stop]
