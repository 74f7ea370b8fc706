from __future__ import annotations

import string
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.escape import parse_qs_bytes

from fused_jupyter.errors import ArgumentError, TileError
from fused_jupyter.wire import Run, decode, encode
from fused_jupyter.wire.http.ranges import NOTHING
from fused_jupyter.wire.http.requests import (
    MAX_BODY,
    RESERVED,
    arguments,
    first,
    make_run,
    parse_body,
    parse_tile,
    tile_extension,
)

names = st.text(min_size=1, max_size=20).filter(lambda name: name not in RESERVED)
texts = st.text(max_size=50)


@given(z=st.integers(0, 10**10), x=st.integers(0, 10**10), y=st.integers(0, 10**10))
def test_whole_numbers_are_a_tile(z: int, x: int, y: int) -> None:
    """Whether they lie in the grid is for the host to say."""
    assert parse_tile(str(z), str(x), str(y)) == (z, x, y)


@given(
    st.one_of(
        st.text(max_size=30).filter(lambda text: not (text.isascii() and text.isdigit())),
        st.sampled_from(
            [
                "",
                "-1",
                "1.5",
                "1e3",
                "..",
                "../1",
                "0x1",
                "+1",
                " 1",
                "\0",
                chr(0x661),
                chr(0xB2),
                str(2**64),
                "9" * 400,
            ]
        ),
    )
)
def test_everything_else_is_a_tile_error(garbage: str) -> None:
    """No garbage in a path gets further than its parser, and none makes it raise anything else."""
    for tile in ((garbage, "0", "0"), ("0", garbage, "0"), ("0", "0", garbage)):
        with pytest.raises(TileError, match="whole numbers"):
            parse_tile(*tile)


@given(st.dictionaries(names, st.lists(texts, min_size=1, max_size=3), max_size=5))
def test_a_query_survives_the_url(query: dict[str, list[str]]) -> None:
    """Names and values of any script arrive as they were sent; a name that comes twice is a list."""
    sent = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name in query for text in query[name])

    found = arguments(parse_qs_bytes(sent, keep_blank_values=True))

    assert found == {name: values[0] if len(values) == 1 else values for name, values in query.items()}


@given(st.sampled_from(sorted(RESERVED)), texts)
def test_reserved_parameters_are_no_arguments(name: str, text: str) -> None:
    """What is ours or Jupyter's never reaches the UDF."""
    assert arguments({name: [text.encode()]}) == {}


@pytest.mark.parametrize("query", [{"n": [b"\xff"]}, {"\xff": [b"1"]}])
def test_text_that_is_no_utf8_is_an_argument_error(query: dict[str, list[bytes]]) -> None:
    """Bytes that mean nothing are refused, not replaced."""
    with pytest.raises(ArgumentError, match="UTF-8"):
        arguments(query)


def test_first_takes_the_first_and_passes_over_empty() -> None:
    """`?format=` is as good as none."""
    assert first({"format": [b"csv", b"png"]}, "format") == "csv"
    assert first({"format": [b""]}, "format") is None
    assert first({}, "format") is None


@given(st.binary(max_size=200))
def test_no_body_makes_the_parser_fail_otherwise(body: bytes) -> None:
    """A body is a JSON object or an argument error, whatever it is made of."""
    try:
        parsed = parse_body(body, "application/json", {})
    except ArgumentError:
        return
    assert isinstance(parsed, dict)


def test_a_json_body_keeps_its_types() -> None:
    """JSON says what is a number."""
    value = {"n": 1, "deep": {"list": [1.5, None, True]}}

    assert parse_body(orjson.dumps(value), "application/json", {}) == value


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_read_as_a_query_is(kind: str) -> None:
    """The XSRF field of a form is no argument."""
    assert parse_body(b"any", kind, {"n": [b"1"], "_xsrf": [b"secret"]}) == {"n": "1"}


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"[1]", "JSON list"), (b"null", "NoneType"), (b"n=1", "no JSON"), (b" " * (MAX_BODY + 1), "allowed")],
)
def test_other_bodies_say_what_to_send(body: bytes, words: str) -> None:
    """The error names what came."""
    with pytest.raises(ArgumentError, match=words):
        parse_body(body, "application/json", {})


def run_of(address: str, method: str = "GET", **headers: str) -> Run:
    path, _, search = address.partition("?")
    return make_run(
        1,
        udf="u",
        method=method,
        query=parse_qs_bytes(search, keep_blank_values=True),
        headers={name.replace("_", "-"): text for name, text in headers.items()},
        extension=path.partition(".")[2],
        tile=None,
        body={},
    )


@given(
    st.dictionaries(names, texts, max_size=3),
    st.sampled_from(["png", "", "a" * 100, string.punctuation]),
    st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(0, 2**31), st.integers(0, 2**31))),
)
def test_every_request_crosses_the_wire(
    given_arguments: dict[str, str], extension: str, tile: tuple[int, int, int] | None
) -> None:
    """What a URL can say, a frame can carry."""
    query = {name.encode().decode("latin-1"): [text.encode()] for name, text in given_arguments.items()}

    run = make_run(7, udf="u", method="GET", query=query, headers={}, extension=extension, tile=tile, body={})

    received = decode(encode(run))
    assert received.parameters == arguments(query)
    assert received.extension == (extension or None)
    assert (None if tile is None else list(tile)) == (None if received.tile is None else list(received.tile))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("u?=png", "png"),
        ("u?=png&format=csv", "csv"),
        ("u?format=&=png", "png"),
        ("u?format=npy,tiff,parquet,json", "npy,tiff,parquet,json"),
        ("u?=", None),
        ("u?png=", None),
    ],
)
def test_a_parameter_without_a_name_is_the_format(address: str, expected: str | None) -> None:
    """`?=png` is how Fused's shared links say it; the name that is there wins."""
    assert run_of(address).format == expected


@pytest.mark.parametrize(
    ("address", "accept", "expected"),
    [
        ("u", "text/csv", "text/csv"),
        ("u?n=1", "image/*", "image/*"),
        ("u", "*/*", None),
        ("u", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", None),
        ("u", "", None),
        ("u.png", "text/csv", None),
        ("u?=png", "text/csv", None),
        ("u?format=png", "text/csv", None),
        ("u?dtype_out_raster=png", "text/csv", None),
        ("u?dtype_out_vector=csv", "application/json", None),
    ],
)
def test_accept_counts_where_the_address_names_no_format(address: str, accept: str, expected: str | None) -> None:
    """And where it says something: what each browser writes before `*/*` would only multiply what caches hold."""
    assert run_of(address, Accept=accept).accept == expected


@pytest.mark.parametrize(
    ("method", "part", "tag"), [("GET", (0, 10), '"e"'), ("HEAD", NOTHING, '"e"'), ("POST", None, None)]
)
def test_ranges_and_conditions_are_for_reading(method: str, part: object, tag: str | None) -> None:
    """A range counts for GET only (RFC 9110, 14.2); HEAD wants no byte, and POST has no conditions here."""
    run = run_of("u", method, Range="bytes=0-9", If_None_Match='"e"', If_Range='"e"')

    assert (run.part, run.if_none_match) == (part, tag)


def test_the_tag_of_a_compressed_answer_reaches_the_host_as_its_own() -> None:
    """The host knows nothing of codings."""
    assert run_of("u", If_None_Match='"a-br", W/"b-gzip", "c"').if_none_match == '"a", W/"b", "c"'


@pytest.mark.parametrize(
    ("search", "extension"),
    [
        ("", "mvt"),
        ("format=png", "png"),
        ("=webp", "webp"),
        ("format=PNG,mvt", "png"),
        ("format=.pbf", "pbf"),
        ("dtype_out_raster=png", "png"),
        ("dtype_out_vector=geojson", "geojson"),
        ("dtype_out_vector=mvt&dtype_out_raster=png", ""),
        ("format=avif&dtype_out_vector=mvt&dtype_out_raster=png", "avif"),
    ],
)
def test_tile_addresses_end_with_the_format_that_is_wanted(search: str, extension: str) -> None:
    """A tile source has one format; only two `dtype_out_*` leave it to each tile."""
    assert tile_extension(parse_qs_bytes(search, keep_blank_values=True)) == extension
