"""Settings: one frozen value, each field with its unit; the variable `FUSED_<NAME>` overrides the default."""

from fused_jupyter.settings._machine import allowed_memory
from fused_jupyter.settings._options import Options

__all__ = ["Options", "allowed_memory"]
