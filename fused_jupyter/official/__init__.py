"""Modules of the official client that code imports by their names, and that have no other place here.

`_alias` leads `fused.models`, `fused.utils`, `fused.warnings`, `fused.h3` and `fused._optional_deps` to them.
"""
