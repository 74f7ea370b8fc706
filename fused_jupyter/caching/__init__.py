"""What survives: results of runs, in memory over files; and in `functions`, values of `@fused.cache`, in files."""

from fused_jupyter.caching.results import Entry, ResultCache

__all__ = ["Entry", "ResultCache"]
