"""The hosted API of Fused, for the owner: identity, runs of posted code, saved UDFs, tokens, files."""

from __future__ import annotations

from typing import Any

ROUTES: list[tuple[str, Any]] = []
