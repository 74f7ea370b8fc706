"""Kinds of custom messages between the two halves of the map.

The twin is js/src/protocol.ts, and a test compares them.
"""

from __future__ import annotations

from typing import Final

REQUEST: Final = "request"
"""The page asks what it would ask the Jupyter server; see `_link.py`."""

CANCEL: Final = "cancel"
"""The page waits for a request no more."""

WAIT: Final = "wait"
"""The kernel says that a request is still under way."""

ANSWER: Final = "answer"
"""The kernel's answer to a request: status, headers, and the body as a buffer."""

FIT: Final = "fit"
"""The kernel asks for a fit to bounds that are already the trait's value."""

FLY: Final = "fly"
"""The kernel asks for a flight to the center and zoom that are already the traits' values."""

PICTURE: Final = "picture"
"""The kernel asks for a picture of the map, or the page sends one: as a buffer."""

DATA: Final = "data"
"""The page asks for the data of a layer by its digest, or for the numbers of a picture at a place by
`digest@longitude,latitude`; the kernel answers with a buffer, or without one where it has none."""
