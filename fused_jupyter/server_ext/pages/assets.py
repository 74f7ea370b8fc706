"""The code and the style of the pages: no secret is in them, so everybody gets them."""

from __future__ import annotations

import hashlib
from pathlib import Path

_DIRECTORY = Path(__file__).parent / "assets"
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

ASSETS = {
    path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
    for path in sorted(_DIRECTORY.iterdir())
    if path.suffix in _MEDIA_TYPES
}
"""Name → content and media type."""

VERSION = hashlib.sha256(b"\0".join(content for content, _ in ASSETS.values())).hexdigest()[:12]
"""Of all of them together: it is part of their addresses, so that each may be kept for ever."""
