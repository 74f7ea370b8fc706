"""The routes that a map asks for. A Jupyter server has them, and a kernel has them for pages that reach no server."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.wire.http.requests import Query, first

PREFIX = "fused"
"""Below the base URL. Twin: `ROUTES` in js/src/protocol.ts."""

EXTENSION = r"(?:\.([A-Za-z0-9]+))?"
XYZ = r"([^/]+)/([^/]+)/([^/.]+)"

PING = rf"{PREFIX}/ping"
FILE = rf"{PREFIX}/run/file/([^/.]+){EXTENSION}"
TILE = rf"{PREFIX}/run/tiles/([^/]+)/{XYZ}{EXTENSION}"
STATIC = rf"{PREFIX}/static/([^/]+)"

_STATIC_FILES = Path(__file__).parents[2] / "widgets" / "static"
STATIC_TYPES = {"map.js": "text/javascript; charset=utf-8", "world.json": "application/json"}
"""What may be asked for there, and its media type."""


def static_file(name: str, query: Query) -> tuple[dict[str, str], bytes]:
    """Headers and content of a file of the map's code; with `?v=`, of exactly the version that the widget wants.

    Raises:
        UnknownUdfError: there is none, or this package is another version than the widget's.
    """
    path = _STATIC_FILES / name
    if name not in STATIC_TYPES or not path.is_file():
        raise UnknownUdfError(f"there is no {name!r} here; build it with `make js`")
    content = path.read_bytes()
    version = first(query, "v")
    if version and not hashlib.sha256(content).hexdigest().startswith(version):
        raise UnknownUdfError(f"{name} of this server is another version than the kernel's")
    kept = "private, max-age=31536000, immutable" if version else "private, no-cache"
    headers = {"Content-Type": STATIC_TYPES[name], "X-Content-Type-Options": "nosniff", "Cache-Control": kept}
    return headers, content
