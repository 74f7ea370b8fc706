"""Everything that has a token in its path."""

from __future__ import annotations

from typing import Any

ROUTES: list[tuple[str, Any]] = []
