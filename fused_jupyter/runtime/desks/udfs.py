"""Not here yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def desk(*_: Any) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
    """Nothing."""
    return {}
