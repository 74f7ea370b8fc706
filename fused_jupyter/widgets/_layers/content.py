"""What Python holds of a layer for the page, which asks for it once by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fused_jupyter.types import Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes for the page, and what is known of them."""

    body: bytes = field(repr=False)
    digest: str
    """Names the bytes: another one for others."""
    bounds: Bounds | None
    """Where it lies: (west, south, east, north) in degrees; None for nothing."""
    made_of: Any = field(repr=False, compare=False)
    """What the user gave; while it is the same object, nothing is made anew."""
    look: str = ""
    """How it was drawn, where there are several ways."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the values of a picture look like, as the routes of tiles say it."""

    @classmethod
    def of(
        cls,
        body: bytes,
        bounds: Bounds | None,
        *,
        made_of: Any,
        look: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Content:
        """With the digest that the bytes have."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(body=body, digest=digest, bounds=bounds, made_of=made_of, look=look, headers=dict(headers or {}))
