"""What lonboard asks of its CDN, answered from npm packages: so its wheel is tested as it is, without the internet.

lonboard 0.17 wants parquet-wasm 0.9.0, and npm's newest is 0.8.0. Both were made by nearly one version of wasm-bindgen:
all that keeps the older one from loading are three imports whose names end in another hash. They get the names that
lonboard's JavaScript has; the code stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import BrowserContext, Route

PACKAGES = Path(__file__).parent.parent / "js" / "node_modules"
CDN = "https://cdn.jsdelivr.net/npm/"

_WASM = PACKAGES / "parquet-wasm" / "esm" / "parquet_wasm_bg.wasm"
_ADDRESS = re.compile(re.escape(CDN) + r"((?:@[\w-]+/)?[\w-]+)@[\w.-]+/(.+)")
_ELSEWHERE = re.compile(r"^https?://(?!127\.0\.0\.1[:/]|localhost[:/])")
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}
_FOR_ALL = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=3600"}
_HASH = re.compile(r"_[0-9a-f]{16}$")
_HEADER = 8
"""Bytes of a wasm module before its sections."""
_IMPORTS = 2
"""The section that names what the module needs."""


@contextlib.contextmanager
def answering_cdn(context: BrowserContext) -> Iterator[list[str]]:
    """Answer lonboard in all pages of this context; nothing else leaves the machine.

    The files come from a server here, to which the browser is sent on: they are large, and a map of lonboard that is
    not ready within the two seconds of anywidget is drawn, but follows nothing any more.

    Returns:
        The addresses that were asked for, which grows as they come.
    """
    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        root = f"http://127.0.0.1:{server.server_address[1]}/"

        def answer(route: Route) -> None:
            asked.append(route.request.url)
            if (found := _ADDRESS.fullmatch(route.request.url)) is None:
                route.abort()
            else:
                route.fulfill(status=302, headers={**_FOR_ALL, "Location": f"{root}{found[1]}/{found[2]}"})

        context.route(_ELSEWHERE, answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield asked
        server.shutdown()
        thread.join()


class _Files(http.server.BaseHTTPRequestHandler):
    """Files of npm packages; the wasm as this lonboard wants it."""

    def do_GET(self) -> None:
        """The file, or 404."""
        path = PACKAGES / self.path.lstrip("/")
        if path.suffix not in _TYPES or not path.is_file():
            self.send_error(404)
            return
        body = _fitting_wasm() if path == _WASM else path.read_bytes()
        self.send_response(200)
        for name, value in {**_FOR_ALL, "Content-Type": _TYPES[path.suffix], "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base
        """Say nothing."""


@functools.cache
def _fitting_wasm() -> bytes:
    return with_names(_WASM.read_bytes(), _names_in_wheel())


def with_names(wasm: bytes, names: list[str]) -> bytes:
    """The module with imports as they are called here; those that differ by a hash alone are renamed.

    Raises:
        KeyError: it needs what nobody calls like that.
    """
    by_stem = {_HASH.sub("", name): name for name in names}
    return _with_imports(wasm, lambda name: name if name in names else by_stem[_HASH.sub("", name)])


def _names_in_wheel() -> list[str]:
    """What the JavaScript of the installed lonboard hands to its module."""
    found = find_spec("lonboard")
    if found is None or found.origin is None:
        raise RuntimeError("lonboard is not installed")
    script = (Path(found.origin).parent / "static" / "index.js").read_text(encoding="utf-8")
    _, _, glue = script.partition('"./parquet_wasm_bg.js":')
    return re.findall(r"[,{](__wb[\w$]+):function", glue)


def _with_imports(wasm: bytes, rename: Callable[[str], str]) -> bytes:
    """The module with other names in its section of imports, all of which are functions."""
    position = _HEADER
    while wasm[position] != _IMPORTS:
        size, start = _number(wasm, position + 1)
        position = start + size
    size, start = _number(wasm, position + 1)
    count, at = _number(wasm, start)
    parts = [_leb(count)]
    for _ in range(count):
        module, at = _text(wasm, at)
        name, at = _text(wasm, at)
        kind = wasm[at]
        assert kind == 0, f"import {name} is of kind {kind}, no function"
        index, at = _number(wasm, at + 1)
        new = rename(name).encode()
        parts += [_leb(len(module)), module.encode(), _leb(len(new)), new, b"\0", _leb(index)]
    section = b"".join(parts)
    return wasm[: position + 1] + _leb(len(section)) + section + wasm[start + size :]


def _text(wasm: bytes, at: int) -> tuple[str, int]:
    size, at = _number(wasm, at)
    return wasm[at : at + size].decode(), at + size


def _number(wasm: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends."""
    value = shift = 0
    while True:
        value |= (wasm[at] & 0x7F) << shift
        at += 1
        if not wasm[at - 1] & 0x80:
            return value, at
        shift += 7


def _leb(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
