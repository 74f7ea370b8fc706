"""What survives: results of runs, in memory over files; values of functions, in files."""

from fused_jupyter.caching.functions import Policy, cached
from fused_jupyter.caching.kept import KeptValues
from fused_jupyter.caching.results import Entry, ResultCache

__all__ = ["Entry", "KeptValues", "Policy", "ResultCache", "cached"]
