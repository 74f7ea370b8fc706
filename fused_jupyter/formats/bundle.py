"""Dicts of mixed values as zip archives, and bytes as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from fused_jupyter.errors import FusedError, UdfSerializationError
from fused_jupyter.formats.kinds import Kind, content, kind_of, picture_format, type_name
from fused_jupyter.formats.tabular.capsules import distinct, settle
from fused_jupyter.formats.target import Target, Written

_MANIFEST: Final = "meta.json"
_ONLY: Final = "result"
"""The name of the one member, where the value is no dict."""
_OLDEST: Final = (1980, 1, 1, 0, 0, 0)
"""The time of all members, so that equal values give equal bytes."""

_MEMBER_FORMATS: Final[dict[Kind, str]] = {
    Kind.NOTHING: "json",
    Kind.GEOMETRIES: "parquet",
    Kind.TABLE: "parquet",
    Kind.ARRAY: "npy",
    Kind.NUMBERS: "npy",
    Kind.RASTER: "tiff",
    Kind.PICTURE: "bin",
    Kind.BYTES: "bin",
    Kind.CHART: "html",
    Kind.PAGE: "html",
    Kind.PLAIN: "json",
    Kind.BUNDLE: "json",
}
"""What a member is → the format that it is written in."""

_SQUEEZED: Final = ("text/", "application/json", "application/x-numpy-data")
"""How the media types begin of what deflate makes smaller; the others are compressed already."""

_PARQUET: Final = "application/octet-stream"
_OPAQUE: Final = "application/x-binary"
"""For bytes of no known kind: by the official client's rules, octet-stream inside an archive is Parquet."""

_BYTES: Final = (
    (re.compile(rb"%PDF-"), "application/pdf", "pdf"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), "application/zip", "zip"),
    (re.compile(rb"\x1f\x8b"), "application/gzip", "gz"),
    (re.compile(rb"PAR1"), _PARQUET, "parquet"),
    (re.compile(rb".{68}GPKG", re.DOTALL), "application/geopackage+sqlite3", "gpkg"),
    (re.compile(rb"SQLite format 3\x00"), "application/vnd.sqlite3", "sqlite"),
)
"""How bytes begin → their media type and a file name's end."""
_UNSAFE: Final = re.compile(r"[/\\\x00-\x1f\x7f\ud800-\udfff]")


def encode_zip(value: Any, target: Target | None = None) -> bytes:
    """A zip archive with a member for each entry of a dict, named by its key; else with one member, ``result``.

    ``meta.json`` says what the members are: ``{"files": {name: {"content_type": …}}}``. Tables are Parquet, arrays npy,
    rasters GeoTIFF, charts and texts of HTML pages, bytes what they were; all else is JSON. The names are the keys, but
    for what is unsafe in a path, and for a second key that is the same text.

    Raises:
        UdfSerializationError: a member that its format cannot carry; the message names the key.
    """
    is_bundle = value is not None and kind_of(value) is Kind.BUNDLE
    members = value if is_bundle else {_ONLY: value}
    content_types: dict[str, dict[str, str]] = {}
    sink = BytesIO()
    with ZipFile(sink, "w") as archive:
        for name, written in _members(members, target or Target()):
            _add(archive, name, written)
            content_types[name] = {"content_type": written.media_type}
        from fused_jupyter.formats.plain import dump

        manifest = Written(body=dump({"files": content_types}), media_type="application/json")
        _add(archive, _MANIFEST, manifest)
    return sink.getvalue()


def encode_bytes(value: Any, target: Target | None = None) -> Written:
    """The bytes as they are, with the media type that their beginning tells; none where there is no value."""
    del target
    if value is None:
        return Written(body=b"")
    body = content(value)
    media_type, extension = _sniff(body)
    return Written(body=body, media_type=media_type, extension=extension)


def describe_bytes(value: Any) -> str:
    """What the bytes are, in words.

    >>> describe_bytes(b"%PDF-1.7")
    '8 bytes of application/pdf'
    """
    written = encode_bytes(value)
    return f"{len(written.body)} bytes" + (f" of {written.media_type}" if written.media_type else "")


def _sniff(body: bytes) -> tuple[str, str]:
    from fused_jupyter.formats.catalog import FORMATS

    if (picture := picture_format(body[:16])) != "":
        return FORMATS[picture].media_type, FORMATS[picture].extensions[0]
    return next(((kind, extension) for begin, kind, extension in _BYTES if begin.match(body[:128])), ("", ""))


def _members(values: Mapping[Any, Any], target: Target) -> Iterator[tuple[str, Written]]:
    names = distinct([_MANIFEST, *map(_safe, values)])[1:]
    for key, name, value in zip(values, names, values.values(), strict=True):
        try:
            yield name, _encode(value, target)
        except FusedError as exc:
            raise UdfSerializationError(f"{key!r} of the dict: {exc.message}") from exc


def _safe(key: object) -> str:
    name = _UNSAFE.sub("_", str(key))
    return name if name.strip(". ") else name.replace(".", "_") or "_"


def _encode(value: Any, target: Target) -> Written:
    from fused_jupyter.formats.catalog import FORMATS
    from fused_jupyter.formats.encoding import write

    value = settle(value)
    kind = kind_of(value)
    if kind not in _MEMBER_FORMATS:
        raise UdfSerializationError(f"{type_name(value)} cannot be a part of an archive; return it alone")
    name = _MEMBER_FORMATS[kind]
    written = write(value, name, target)
    if name == "bin":
        return Written(body=written.body, media_type=written.media_type or _OPAQUE)
    return Written(body=written.body, media_type=written.media_type or FORMATS[name].media_type)


def _add(archive: ZipFile, name: str, written: Written) -> None:
    member = ZipInfo(name, _OLDEST)
    member.compress_type = ZIP_DEFLATED if written.media_type.startswith(_SQUEEZED) else ZIP_STORED
    archive.writestr(member, written.body, compresslevel=1)
