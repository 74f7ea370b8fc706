"""`%load_ext fused_jupyter` and the magics: parse, call, show."""

from fused_jupyter.magics.extension import load_ipython_extension, unload_ipython_extension

__all__ = ["load_ipython_extension", "unload_ipython_extension"]
