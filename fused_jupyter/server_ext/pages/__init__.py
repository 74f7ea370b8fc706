"""What people and programs that are no Python users look at: pages, openapi.json, TileJSON, WMTS."""

from __future__ import annotations

from typing import Any

ROUTES: list[tuple[str, Any]] = []
