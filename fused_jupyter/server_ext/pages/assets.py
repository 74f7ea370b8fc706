"""The code and the style of the pages: no secret is in them, so everybody gets them."""

from __future__ import annotations

import hashlib
from pathlib import Path

_DIRECTORY = Path(__file__).parent / "assets"
_WIDGETS = Path(__file__).parents[2] / "widgets" / "static"
_OF_WIDGETS = ("map.js", "viewer.js", "world.json")
"""Code of maps, which a checkout has once it is built."""
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json"}

ASSETS = {
    path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
    for path in (*sorted(_DIRECTORY.iterdir()), *(_WIDGETS / name for name in _OF_WIDGETS))
    if path.suffix in _MEDIA_TYPES and path.is_file()
}
"""Name → content and media type."""

VERSION = hashlib.sha256(b"\0".join(content for content, _ in ASSETS.values())).hexdigest()[:12]
"""Of all of them together: it is part of their addresses, so that each may be kept for ever."""
