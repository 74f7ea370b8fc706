"""What a browser may do with what a UDF sends: media types, file names, headers; each by a list of what is allowed."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from urllib.parse import quote, unquote

SANDBOX = "sandbox allow-scripts allow-popups allow-forms; frame-ancestors 'self'"
"""Never with allow-same-origin: a UDF's page with Jupyter's origin could run anything."""

_MUTE = "sandbox; frame-ancestors 'self'"
"""For data that browsers would run scripts of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How a body of some media type is sent."""

    is_shown: bool
    """Whether browsers show it; they save everything else."""
    policy: str = ""
    """The `Content-Security-Policy`: an origin of its own, which has no cookie and no way to this server."""


_SHOWN = Treatment(is_shown=True)
_SAVED = Treatment(is_shown=False)
_PAGE = Treatment(is_shown=True, policy=SANDBOX)
_MARKUP = Treatment(is_shown=True, policy=_MUTE)

_TREATMENTS = {
    "image/png": _SHOWN,
    "image/jpeg": _SHOWN,
    "image/webp": _SHOWN,
    "image/gif": _SHOWN,
    "image/avif": _SHOWN,
    "application/json": _SHOWN,
    "application/geo+json": _SHOWN,
    "text/csv": _SHOWN,
    "text/plain": _SHOWN,
    "text/html": _PAGE,
    "image/svg+xml": _PAGE,
    # In any XML document, elements of the XHTML namespace are those of HTML, scripts too.
    "application/xml": _MARKUP,
    "text/xml": _MARKUP,
    "image/tiff": _SAVED,
    "application/octet-stream": _SAVED,
    "application/vnd.mapbox-vector-tile": _SAVED,
    "application/vnd.apache.arrow.file": _SAVED,
    "application/vnd.apache.parquet": _SAVED,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _SAVED,
    "application/x-numpy-data": _SAVED,
    "application/zip": _SAVED,
}
"""Media types that can be sent as they are. Browsers do not show PDF in a sandbox, and nobody knows what else there is:
all others are octets to be saved."""

_MEDIA_TYPE = re.compile(r"([\w.+-]+/[\w.+-]+)(?:; ?charset=[\w-]+)?", re.ASCII)
"""Strict: of ``image/png;,text/html`` a browser takes the second half."""

_FILE_NAME = re.compile(
    r"""filename\*\s*=\s*utf-8'[^']*'(?P<quoted>[^;\s"]+)|filename\s*=\s*(?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<token>[^;\s"]+))""",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r"[a-z0-9]{1,10}", re.IGNORECASE)
_LONGEST_NAME = 120
_LONGEST_HEADER = 1000
_DATE = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"


def content_headers(media_type: str, *, file_name: str = "", own_disposition: str = "") -> dict[str, str]:
    """Headers that make a body harmless on this origin, whatever the UDF says it is, and name the file to save.

    Args:
        media_type: as the UDF or the encoder says.
        file_name: what the file is called where the UDF does not say.
        own_disposition: the `Content-Disposition` of the UDF's own response.

    >>> content_headers("image/png", file_name="dem-3-1-3.png")
    {'Content-Type': 'image/png', 'Content-Disposition': 'inline; filename="dem-3-1-3.png"'}
    """
    content_type, how = _treatment(media_type)
    is_saved = not how.is_shown or own_disposition.strip().lower().startswith("attachment")
    name = own_file_name(own_disposition) or file_name
    parameters = _name_parameters(name) if name else ""
    headers = {
        "Content-Type": content_type,
        "Content-Disposition": ("attachment" if is_saved else "inline") + parameters,
    }
    return headers | {"Content-Security-Policy": how.policy} if how.policy else headers


def file_name(stem: str, tile: tuple[int, int, int] | None, *, extension: str, media_type: str) -> str:
    """What a result is called when it is saved.

    >>> file_name("quakes", (12, 654, 1583), extension="mvt", media_type="")
    'quakes-12-654-1583.mvt'
    """
    place = "-{}-{}-{}".format(*tile) if tile else ""
    if not _EXTENSION.fullmatch(extension):
        extension = (mimetypes.guess_extension(media_type.partition(";")[0].strip()) or "").removeprefix(".")
    return f"{stem}{place}.{extension}" if extension else stem + place


def own_file_name(disposition: str) -> str:
    r"""The file name in a UDF's own `Content-Disposition`, without directories and tricks; empty where there is none.

    >>> own_file_name('attachment; filename="../../.bashrc"'), own_file_name("inline; filename*=UTF-8''z%C3%BCrich.csv")
    ('bashrc', 'zürich.csv')
    """
    found: dict[str, str] = {}
    for match in _FILE_NAME.finditer(disposition[:_LONGEST_HEADER]):
        found |= {kind: text for kind, text in match.groupdict().items() if text}
    text = unquote(found["quoted"]) if "quoted" in found else found.get("text", found.get("token", ""))
    last = re.split(r"[/\\]", text)[-1]
    # Control characters, and those that turn the direction of writing: "exe.png" must not end with .exe.
    visible = "".join(letter for letter in last if not unicodedata.category(letter).startswith("C"))
    return " ".join(visible.split())[-_LONGEST_NAME:].strip(". ")


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Those headers of a UDF's own response, or of an encoder, that may leave this server.

    >>> passed_on({"retry-after": "5", "set-cookie": "a=b", "content-encoding": "gzip"})
    {'Retry-After': '5', 'Content-Encoding': 'gzip'}
    """
    checks = {name: _CHECKS[name.lower()] for name in headers if name.lower() in _CHECKS}
    checked = {name.title(): check(str(headers[name])) for name, check in checks.items()}
    return {name: text for name, text in checked.items() if text}


@lru_cache(maxsize=256)
def _treatment(media_type: str) -> tuple[str, Treatment]:
    match = _MEDIA_TYPE.fullmatch(media_type)
    known = _TREATMENTS.get(match[1].lower()) if match else None
    return ("application/octet-stream", _SAVED) if known is None else (media_type, known)


def _name_parameters(name: str) -> str:
    """RFC 6266: a name for all, and the real one where that differs."""
    plain = re.sub(r'["\\%]', "_", name.encode("ascii", "replace").decode().replace("?", "_"))
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'; filename="{plain}"{extended}'


def _exactly(text: str, *, pattern: re.Pattern[str]) -> str:
    return text if pattern.fullmatch(text) else ""


def _in_one_line(text: str) -> str:
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()[:_LONGEST_HEADER]
    return line if line.isprintable() else ""


_CHECKS: dict[str, Callable[[str], str]] = {
    "content-language": partial(_exactly, pattern=re.compile(r"[A-Za-z0-9, -]{1,100}")),
    "content-encoding": partial(_exactly, pattern=re.compile(r"gzip|br|deflate|zstd")),
    "last-modified": partial(_exactly, pattern=re.compile(_DATE, re.ASCII)),
    "retry-after": partial(_exactly, pattern=re.compile(rf"\d{{1,6}}|{_DATE}", re.ASCII)),
    "x-fused-warning": _in_one_line,
    "x-fused-features": _in_one_line,
    "x-fused-rescale": _in_one_line,
    "x-fused-colors": _in_one_line,
}
"""Headers that a UDF may set → what is sent of them. `Content-Disposition` is made anew, see `content_headers`.
Cookies, redirects, policies, permissions for other sites and caching are not for a UDF to set."""
