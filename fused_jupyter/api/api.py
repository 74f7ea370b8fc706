"""Where the official client has its `FusedAPI`."""

from fused_jupyter.api.client import FusedAPI

__all__ = ["FusedAPI"]
