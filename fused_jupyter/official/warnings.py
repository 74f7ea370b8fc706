"""`fused.warnings`: the classes by which code silences warnings of the official client; here none is raised."""

from __future__ import annotations


class FusedWarning(UserWarning):
    """The base of them."""


class FusedDeprecationWarning(FusedWarning):
    """Old names."""


class FusedIgnoredWarning(FusedWarning):
    """Options that do nothing."""


class FusedImportWarning(FusedWarning):
    """Imports that fail."""


class FusedNonProductionWarning(FusedWarning):
    """Another environment."""


class FusedOnPremWarning(FusedWarning):
    """Another server."""


class FusedPathWarning(FusedWarning):
    """Paths."""


class FusedTypeWarning(FusedWarning):
    """Annotations."""


class FusedUdfWarning(FusedWarning):
    """UDFs."""
