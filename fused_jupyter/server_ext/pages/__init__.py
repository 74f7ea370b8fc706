"""What people and programs that are no Python users look at: pages, openapi.json, TileJSON, WMTS."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.pages import owner, tokens

ROUTES: list[tuple[str, Any]] = [*owner.ROUTES, *tokens.ROUTES]
