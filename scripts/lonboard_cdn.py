"""What lonboard asks of its CDN, answered from npm packages: so its wheel is tested as it is, without the internet.

lonboard 0.17 wants parquet-wasm 0.9.0, and npm's newest is 0.8.0. Both were made by nearly one version of wasm-bindgen:
all that keeps the older one from loading are three imports whose names end in another hash. They get the names that
lonboard's JavaScript has; the code stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import BrowserContext, Route

PACKAGES = Path(__file__).parent.parent / "js" / "node_modules"
CDN = "https://cdn.jsdelivr.net/npm/"

_WASM = PACKAGES / "parquet-wasm" / "esm" / "parquet_wasm_bg.wasm"
_ADDRESS = re.compile(re.escape(CDN) + r"((?:@[\w-]+/)?[\w-]+)@[\w.-]+/(.+)")
_ELSEWHERE = re.compile(r"^https?://(?!127\.0\.0\.1[:/]|localhost[:/])")
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}
_HASH = re.compile(r"_[0-9a-f]{16}$")
_HEADER = 8
"""Bytes of a wasm module before its sections."""
_IMPORTS = 2
"""The section that names what the module needs."""


def answer_cdn(context: BrowserContext) -> list[str]:
    """Answer lonboard in all pages of this context; nothing else leaves the machine.

    Returns:
        The addresses that were asked for, which grows as they come.
    """
    asked: list[str] = []
    wasm = with_names(_WASM.read_bytes(), _names_in_wheel())

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        found = _ADDRESS.fullmatch(route.request.url)
        path = PACKAGES / found[1] / found[2] if found else None
        if path is None or not path.is_file():
            route.abort()
            return
        body = wasm if path == _WASM else path.read_bytes()
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": _TYPES[path.suffix]}
        route.fulfill(body=body, headers=headers)

    context.route(_ELSEWHERE, answer)
    return asked


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
