"""The page that is all map: one UDF in MapLibre, with the same code as the maps of notebooks."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.pages.assets import VERSION
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.html import data, document, new
from fused_jupyter.server_ext.pages.page import Place
from fused_jupyter.server_ext.pages.tilejson import view_of


def policy(nonce: str) -> str:
    """The `Content-Security-Policy` of such a page: nothing from elsewhere, no script but ours, in no foreign frame.

    MapLibre draws in a worker that it gets as a blob, its buttons are pictures within a style sheet, and style sheets
    are made by the script, which needs no leave.
    """
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "worker-src": "blob:",
        "img-src": "'self' data: blob:",
        "connect-src": "'self' blob:",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def map_page(entry: Entry, place: Place, *, root: str) -> bytes:
    """The map of one UDF.

    Args:
        entry: of the UDF.
        place: where the page stands.
        root: the way to `fused/`.
    """
    script = new("script", type="module", src=f"{place.assets}{VERSION}/viewer.js", nonce=place.nonce)
    body = [data("fused-page", _told(entry, place, root)), new("noscript", "This map needs JavaScript.")]
    return document(title=f"{entry.name} (map)", head=[script], body=body)


def _told(entry: Entry, place: Place, root: str) -> dict[str, Any]:
    """What the page's script has to know. Twin: js/src/page.ts."""
    return {
        "kind": "served",
        "title": entry.name,
        "description": entry.description,
        "links": [list(link) for link in place.links],
        "note": "",
        "udf": {
            "name": entry.name,
            "schema": dict(entry.schema),
            "controls": list(entry.controls),
            "spatial": entry.spatial,
            "zooms": list(entry.zooms),
            "view": list(view_of(entry)),
            "formats": list(entry.formats),
        },
        "root": root,
        "route": {"file": entry.file, "tiles": entry.tiles},
        "files": f"{place.assets}{VERSION}",
        "is_owner": place.is_owner,
    }
