from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fastapi
import pytest
from starlette import responses

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Encoded, Wanted, encode


def sent(value: Any) -> Encoded:
    return encode(value, wanted=Wanted(formats=("parquet",)))


def chunks() -> Iterator[Any]:
    yield "Å"
    yield b"s"


async def later() -> AsyncIterator[Any]:
    for chunk in chunks():
        await asyncio.sleep(0)
        yield chunk


@pytest.mark.parametrize(
    ("response", "media_type", "body"),
    [
        (responses.JSONResponse({"a": [1]}), "application/json", b'{"a":[1]}'),
        (responses.HTMLResponse("<p>Ås"), "text/html; charset=utf-8", "<p>Ås".encode()),
        (responses.PlainTextResponse("Ås"), "text/plain; charset=utf-8", "Ås".encode()),
        (responses.Response(b"\x89PNG", media_type="image/png"), "image/png", b"\x89PNG"),
        (fastapi.Response(b"<p>", media_type="text/html; charset=utf-8"), "text/html; charset=utf-8", b"<p>"),
        (responses.Response(b"x"), "application/octet-stream", b"x"),
        (responses.StreamingResponse(chunks(), media_type="text/csv"), "text/csv; charset=utf-8", "Ås".encode()),
        (responses.StreamingResponse(later()), "application/octet-stream", "Ås".encode()),
    ],
)
def test_a_response_is_sent_as_its_author_made_it(response: Any, media_type: str, body: bytes) -> None:
    """Whatever format the request names: the author has decided."""
    encoded = sent(response)

    assert (encoded.body, encoded.media_type, encoded.status, encoded.format) == (body, media_type, 200, "")


def test_status_and_headers_go_with_it() -> None:
    """But for those that follow from the body; which may leave is for the server to say."""
    response = responses.JSONResponse(
        {"detail": "no"}, status_code=404, headers={"X-Why": "not there", "Cache-Control": "no-store"}
    )

    encoded = sent(response)

    assert (encoded.status, json.loads(encoded.body)) == (404, {"detail": "no"})
    assert encoded.headers == {"x-why": "not there", "cache-control": "no-store"}


def test_a_redirect_says_where_to() -> None:
    """It has no body but a place."""
    encoded = sent(responses.RedirectResponse("https://example.org/a"))

    assert (encoded.status, encoded.headers["location"], encoded.body) == (307, "https://example.org/a", b"")


def test_a_file_is_read(tmp_path: Path) -> None:
    """With the media type and the name that its author gave."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF")

    encoded = sent(responses.FileResponse(tmp_path / "a.pdf", filename="report.pdf"))

    assert (encoded.body, encoded.media_type) == (b"%PDF", "application/pdf")
    assert encoded.headers["content-disposition"] == 'attachment; filename="report.pdf"'


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Not an empty answer."""
    with pytest.raises(UdfSerializationError, match="nothing.pdf.*No such file"):
        sent(responses.FileResponse(tmp_path / "nothing.pdf"))


def test_a_stream_is_read_inside_a_running_loop() -> None:
    """A kernel has one, and a UDF may run in it."""

    async def inside() -> bytes:
        return sent(responses.StreamingResponse(chunks())).body

    assert asyncio.run(inside()) == "Ås".encode()
