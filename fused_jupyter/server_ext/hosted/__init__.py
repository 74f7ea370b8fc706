"""The hosted API of Fused, for the owner: identity, runs of posted code, saved UDFs, tokens, files."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.hosted.files import FILE_ROUTES

ROUTES: list[tuple[str, Any]] = [*FILE_ROUTES]
