"""Every form that the address of a token may have, for each kind of token."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from http.client import HTTPConnection
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image
from real_jupyter import Answer, JupyterServer

from fused_jupyter.wire.http.requests import MAX_BODY

Open = Callable[..., Answer]
Tokens = dict[str, dict[str, str]]

KINDS = ("live", "saved", "collection")
ROOTS = ("fused", "fused/server/v1/realtime-shared")
FILES = (
    ".json?",
    "/run/file.json?",
    "/run/file?format=json&",
    "/run?format=json&",
    "/run?=json&",
    "/run/file?",
    "/run?",
)
TILES = (".png?", "?format=png&", "?=png&", "?dtype_out_raster=png&")
NUMBERS = {"n": 7, "more": []}

every_address = pytest.mark.parametrize(
    ("root", "kind"), [(root, kind) for root in ROOTS for kind in KINDS], ids=lambda part: part.rpartition("/")[2]
)


@every_address
def test_every_form_of_a_file_gives_the_same(root: str, kind: str, tokens: Tokens, open_: Open) -> None:
    """By GET, and the headers of it by HEAD."""
    token = tokens["report"][kind]
    for form in FILES:
        address = f"{root}/{token}{form}n=7"

        answer = open_(address)

        assert (answer.status, answer.json()) == (200, NUMBERS), address
        head = open_(address, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["ETag"] == answer.headers["ETag"]


@every_address
def test_every_form_of_a_tile_gives_the_same(root: str, kind: str, tokens: Tokens, open_: Open) -> None:
    """Where the address names no format, the value decides."""
    token = tokens["picture"][kind]
    for form in (*TILES, "?"):
        address = f"{root}/{token}/run/tiles/2/1/1{form}shade=33"

        answer = open_(address)

        assert answer.status == 200, address
        assert open_(address, method="HEAD").status == 200
        if form != "?":
            assert answer.headers["Content-Type"] == "image/png"
            assert np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))[9, 9].tolist() == [33] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_not_sent_again_and_has_parts(kind: str, tokens: Tokens, open_: Open) -> None:
    """As for the owner: 304 for who has it, 206 for who wants a part."""
    address = f"fused/{tokens['report'][kind]}.json?n=8"
    whole = open_(address)

    same = open_(address, **{"If-None-Match": whole.headers["ETag"]})
    part = open_(address, Range="bytes=1-4")

    assert (same.status, same.body) == (304, b"")
    assert (part.status, part.body) == (206, whole.body[1:5])
    assert part.headers["Content-Range"] == f"bytes 1-4/{len(whole.body)}"
    assert open_(address, Range="bytes=9999-").status == 416


MULTIPART = b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n5\r\n--x--\r\n'
BODIES = [
    ("application/json", b'{"n": 5}'),
    ("application/x-www-form-urlencoded", b"n=5"),
    ("multipart/form-data; boundary=x", MULTIPART),
]


@pytest.mark.parametrize(("content_type", "body"), BODIES, ids=lambda part: str(part)[:20])
@pytest.mark.parametrize("kind", KINDS)
def test_arguments_may_come_in_a_body(kind: str, content_type: str, body: bytes, tokens: Tokens, open_: Open) -> None:
    """A JSON object or a form; it goes before the query. No cookie is needed against forgery, as none counts."""
    for form in (".json?", "/run/file.json?", "/run?format=json&"):
        address = f"fused/{tokens['report'][kind]}{form}n=4"

        answer = open_(address, method="POST", body=body, **{"Content-Type": content_type})

        assert (answer.status, answer.json()) == (200, {"n": 5, "more": []})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[1]"),
        ("application/json", b"{"),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data", b""),
        ("application/x-www-form-urlencoded", b"n=%ff"),
    ],
)
def test_a_body_that_is_none_is_said(content_type: str, body: bytes, tokens: Tokens, open_: Open) -> None:
    """Not with a 500."""
    answer = open_(
        f"fused/{tokens['report']['saved']}.json", method="POST", body=body, **{"Content-Type": content_type}
    )

    assert answer.status in ({422} if body else {200, 422})


def test_a_stranger_cannot_fill_the_memory(tokens: Tokens, server: JupyterServer) -> None:
    """A body that is too long is not even read: the answer comes when its length is known."""
    for address in (f"fused/{tokens['report']['saved']}.json", "fused/fsh_x/run/file", "fused/fsh_x/nothing"):
        with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
            connection.putrequest("POST", server.base_url + address)
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(MAX_BODY + 1))
            connection.endheaders(b"{")
            assert connection.getresponse().status == 413


def test_names_of_clients_never_reach_a_udf(tokens: Tokens, open_: Open) -> None:
    """Fused's own client adds them to every address, and this UDF takes any argument."""
    reserved = {
        "format": "npy,tiff,parquet,json",
        "profile": "False",
        "cache_max_age": "60",
        "fused_cache_disable_stream": "true",
        "_stream_logs": "false",
        "dtype_out_vector": "",
        "dtype_out_raster": "",
        "fused_session_token": "x",
        "token": "x",
        "kernel": "x",
        "v": "x",
    }
    for kind in KINDS:
        answer = open_(
            f"fused/server/v1/realtime-shared/{tokens['report'][kind]}/run/file?{urlencode(reserved)}&mine=1"
        )

        assert answer.json() == {"n": 1, "more": ["mine"]}


def test_a_file_is_called_by_what_the_address_says(tokens: Tokens, open_: Open) -> None:
    """Who has a token of one UDF need not know its name; of a collection it stands in the address."""
    names = {kind: open_(f"fused/{tokens['report'][kind]}.json").headers["Content-Disposition"] for kind in KINDS}

    assert names == {
        "live": 'inline; filename="result.json"',
        "saved": 'inline; filename="result.json"',
        "collection": 'inline; filename="report.json"',
    }


def test_the_addresses_that_tokens_give_work(server: JupyterServer, live_kernel: object, open_: Open) -> None:
    """What `get_file_url` and `get_tile_url` say, somebody without a login opens."""
    del live_kernel
    with server.running_kernel() as kernel:
        kernel.define("@fused.udf\ndef given(bounds=None, n: int = 1):\n    return {'n': n}")
        code = "t = given.create_access_token(live={}); print(t.get_file_url('json', n=3), t.get_tile_url('json', n=3))"
        kernel.execute("given.to_fused(overwrite=True)").check()
        for is_live in (True, False):
            file, tile = kernel.execute(code.format(is_live)).check().text.split()
            assert open_(file).json() == {"n": 3}
            assert open_(tile.format(z=1, x=0, y=0)).json() == {"n": 3}
