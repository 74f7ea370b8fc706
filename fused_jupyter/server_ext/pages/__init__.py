"""What people and programs that are no Python users look at: pages, openapi.json, TileJSON, WMTS."""

from fused_jupyter.server_ext.pages.owner import ROUTES

__all__ = ["ROUTES"]
