"""The jupyter-server extension: HTTP routes in front of runtime hosts. Knows `wire` and `errors`, no more."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What Jupyter Server loads."""
    from fused_jupyter.server_ext.app import FusedExtension

    return [{"module": "fused_jupyter", "app": FusedExtension}]
