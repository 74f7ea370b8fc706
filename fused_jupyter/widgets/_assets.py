"""The built JavaScript, as files."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fused_jupyter.errors import FusedError

_STATIC = Path(__file__).parent / "static"


def asset(name: str) -> Path:
    """The file of that name.

    Raises:
        FusedError: it was not built.
    """
    path = _STATIC / name
    if not path.is_file():
        raise FusedError(f"{path} is missing: run `make js` in the checkout, or install the package from a wheel")
    return path


@cache
def bundle_hash() -> str:
    """What tells this version of map.js from others, 16 hex digits."""
    return hashlib.sha256(asset("map.js").read_bytes()).hexdigest()[:16]
