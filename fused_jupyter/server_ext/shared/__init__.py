"""Everything that has a token in its path."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.shared.files import SharedFileHandler, SharedMissingHandler, SharedTileHandler

_ROOT = r"/fused(?:/server/v1/realtime-shared)?"
"""The second way is that of Fused's own client."""

_LETTERS = "[A-Za-z0-9_-]+"
_ONE, _OF_MANY = rf"(fsh_{_LETTERS})()", rf"(fc_{_LETTERS})/([^/.]+)"
"""The token and the name of the UDF, which is empty where the token is for one."""

_ANY = r"((?:(?:fsh|fc|UDF)_|[0-9a-f]{64})[^/]*)"
"""What is, or was meant to be, a token; those of Fused's cloud have more forms."""

_EXTENSION = r"(?:\.([A-Za-z0-9]+))?"
_XYZ = r"([^/]+)/([^/]+)/([^/.]+)"


def _routes(opened: str) -> list[tuple[str, Any]]:
    return [
        (rf"{_ROOT}/{opened}{_EXTENSION}", SharedFileHandler),
        (rf"{_ROOT}/{opened}/run(?:/file{_EXTENSION})?", SharedFileHandler),
        (rf"{_ROOT}/{opened}/run/tiles/{_XYZ}{_EXTENSION}", SharedTileHandler),
    ]


ROUTES: list[tuple[str, Any]] = [
    *_routes(_ONE),
    *_routes(_OF_MANY),
    (rf"{_ROOT}/{_ANY}(?:/.*)?", SharedMissingHandler),
]
