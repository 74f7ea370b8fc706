"""CRC-32 of what lies on disk: it tells a torn write from a whole one, which is all that it is for."""

from __future__ import annotations

import zlib

try:
    from isal.isal_zlib import crc32
except ImportError:  # no wheel for this platform: a tenth of the speed
    crc32 = zlib.crc32

__all__ = ["crc32"]
