"""Settings: one frozen value, each field with its unit; the variable `FUSED_<NAME>` overrides the default."""

from fused_jupyter.settings._identity import whoami
from fused_jupyter.settings._machine import allowed_memory
from fused_jupyter.settings._options import Options, setting
from fused_jupyter.settings._secrets import is_secret, without_secrets

__all__ = ["Options", "allowed_memory", "is_secret", "setting", "whoami", "without_secrets"]
