"""What Python holds of a layer for the page, which asks for it once by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
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
    at: Callable[[float, float], bytes | None] | None = field(default=None, repr=False, compare=False)
    """Of a picture: the numbers of its pixel at a longitude and latitude, as NumPy's file; None where it has none."""

    @classmethod
    def of(
        cls,
        body: bytes,
        bounds: Bounds | None,
        *,
        made_of: Any,
        look: str = "",
        headers: Mapping[str, str] | None = None,
        at: Callable[[float, float], bytes | None] | None = None,
    ) -> Content:
        """With the digest that the bytes have."""
        digest = hashlib.sha256(body).hexdigest()[:32]
        known = dict(headers or {})
        return cls(body=body, digest=digest, bounds=bounds, made_of=made_of, look=look, headers=known, at=at)


def answer(name: str, contents: Iterable[Content]) -> bytes | None:
    """What a page asks for by that name: a digest, or `digest@longitude,latitude` for the numbers of a pixel.

    None where nobody holds it.
    """
    digest, _, place = name.partition("@")
    found = next((content for content in contents if content.digest == digest), None)
    if found is None or not place:
        return None if found is None else found.body
    try:
        longitude, latitude = map(float, place.split(","))
    except ValueError:  # no page of ours asks so
        return None
    return None if found.at is None else found.at(longitude, latitude)
