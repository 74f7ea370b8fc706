"""`fused.h3`: tables of hexagons, which Fused's cloud makes and reads."""

from __future__ import annotations

from fused_jupyter.api.cloud import CloudOnly, of_h3


def __getattr__(name: str) -> CloudOnly:
    if (of_the_cloud := of_h3(name)) is None:
        raise AttributeError(f"module 'fused.h3' has no attribute {name!r}")
    return of_the_cloud
