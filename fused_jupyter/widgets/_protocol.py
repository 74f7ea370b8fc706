"""Kinds of custom messages between the two halves of the map.

The twin is js/src/protocol.ts, and a test compares them.
"""

from __future__ import annotations

from typing import Final

BUNDLE: Final = "bundle"
"""The page asks for map.js; the kernel answers with the same kind and one buffer."""

FIT: Final = "fit"
"""The kernel asks for a fit to bounds that are already the trait's value."""
