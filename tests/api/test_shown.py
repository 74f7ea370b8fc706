"""Web pages that UDFs return, as a notebook shows them."""

from __future__ import annotations

import io
import pickle
from html.parser import HTMLParser

import pytest
from PIL import Image
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

import fused_jupyter as fused
from fused_jupyter.api.shown import Page, framed, response_as_html

PAGE = '<h1 class="a">1 < 2 & "quoted"</h1><script>parent.document</script></iframe><b>'


class Frames(HTMLParser):
    """The attributes of each frame, and what stands outside of frames; an independent reader."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.frames: list[dict[str, str | None]] = []
        self.others: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.frames.append(dict(attrs))
        else:
            self.others.append(tag)


@pytest.mark.parametrize("page", [PAGE, "", "</iframe><script>1</script>", "é 中"])
def test_a_page_stays_whole_and_inside_its_frame(page: str) -> None:
    """Whatever it is; and its scripts never get the origin of the notebook."""
    read = Frames(framed(page))

    assert read.others == []
    assert [frame["srcdoc"] for frame in read.frames] == [page]
    assert "allow-scripts" in str(read.frames[0]["sandbox"]).split()
    assert "allow-same-origin" not in str(read.frames[0]["sandbox"])


def test_responses_are_shown_as_what_they_are() -> None:
    """Pages in a frame, pictures as pictures; of others and of streams IPython shows the repr."""
    picture = io.BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "PNG")

    assert Frames(str(response_as_html(HTMLResponse(PAGE)))).frames[0]["srcdoc"] == PAGE
    assert str(response_as_html(Response(picture.getvalue(), media_type="image/png"))).startswith("<img ")
    assert response_as_html(JSONResponse({"a": 1})) is None
    assert response_as_html(Response("<script>", media_type="text/plain")) is None
    assert response_as_html(StreamingResponse(iter(()), media_type="text/html")) is None


def test_html_text_of_a_udf_is_text_that_a_notebook_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It equals the text, travels as text, and only in a notebook it is anything else."""
    udf = fused.load("@fused.udf\ndef page(title: str = 'Hi'):\n    return f'<h1>{title}</h1>'\n")
    assert type(udf()) is str

    monkeypatch.setattr("IPython.get_ipython", object)
    page = udf()

    assert isinstance(page, Page)
    assert page == "<h1>Hi</h1>"
    assert type(pickle.loads(pickle.dumps(page))) is str
    assert Frames(page._repr_html_()).frames[0]["srcdoc"] == "<h1>Hi</h1>"
    assert type(fused.load("@fused.udf\ndef text():\n    return 'no page'\n")()) is str
