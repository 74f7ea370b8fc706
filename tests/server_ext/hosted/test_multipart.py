from __future__ import annotations

import io

import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError
from fused_jupyter.server_ext.hosted.multipart import FormReader

TYPE = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def read(body: bytes, content_type: str, *, size: int) -> bytes:
    """The part `file` of a form that comes in pieces."""
    got = bytearray()
    form = FormReader(content_type, field="file", take=got.extend)
    for start in range(0, len(body), size):
        form.feed(body[start : start + size])
    form.close()
    return bytes(got)


@given(
    content=st.binary(max_size=300) | st.lists(st.sampled_from([b"\r\n", b"--", b"b", b"\r", b"-"])).map(b"".join),
    fields=st.dictionaries(st.sampled_from(["key", "policy", "x"]), st.text(max_size=20), max_size=3),
    size=st.integers(1, 50),
)
def test_file_is_what_requests_sends(content: bytes, fields: dict[str, str], size: int) -> None:
    """Whatever it holds and however it is cut, beside whatever other fields."""
    sent = requests.Request("POST", "http://x/", data=fields, files={"file": ("file", io.BytesIO(content))}).prepare()
    assert isinstance(sent.body, bytes)

    assert read(sent.body, sent.headers["Content-Type"], size=size) == content


@given(
    content=st.lists(st.sampled_from([b"\r\n--x", b"\r\n--", b"b", b"\r\n", b"-b"]), max_size=8), size=st.integers(1, 9)
)
def test_line_that_begins_like_a_boundary_is_content(content: list[bytes], size: int) -> None:
    """Only the whole boundary ends a part."""
    text = b"".join(content)
    assume(b"\r\n--b" not in text)

    assert read(HEAD + text + b"\r\n--b--\r\n", TYPE, size=size) == text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        HEAD,
        HEAD + b"x",
        HEAD + b"x\r\n--b",
        HEAD + b"x\r\n--b\r\n",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--',
        HEAD + b"x\r\n" + HEAD + b"y\r\n--b--",
        HEAD + b"x\r\n--bb--",
        b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--",
    ],
)
@pytest.mark.parametrize("size", [1, 10**6])
def test_broken_form_is_refused(body: bytes, size: int) -> None:
    """One that breaks off, has the part not once, or is none at all."""
    with pytest.raises(ArgumentError, match="the form"):
        read(body, TYPE, size=size)


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary="])
def test_form_needs_a_boundary(content_type: str) -> None:
    """Without one nobody can tell its parts."""
    with pytest.raises(ArgumentError, match="need multipart/form-data with a boundary"):
        FormReader(content_type, field="file", take=print)


def test_memory_holds_no_more_than_a_piece() -> None:
    """A file of any length goes on as it comes."""
    got: list[int] = []
    form = FormReader(TYPE, field="file", take=lambda piece: got.append(len(piece)))
    form.feed(HEAD)
    for _ in range(100):
        form.feed(b"\r\n--" * 1000)
        assert len(form._buffer) < 10

    assert sum(got) > 100 * 4000 - 10
