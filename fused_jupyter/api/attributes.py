"""What the code of a UDF defines at its top, as its text tells: nothing is run to know it."""

from __future__ import annotations

import difflib
import functools
import symtable

from fused_jupyter.udfs import UdfDefinition


def defined_name(definition: UdfDefinition, name: str) -> str | None:
    """The name under which the code may have what is asked for, None where it has not.

    `utils` is also the only header module, whatever it is called.
    """
    if name in defined_names(definition) or "import *" in definition.source:
        return name
    if name == "utils" and len(definition.headers) == 1:
        return definition.headers[0].module_name
    return None


def defined_names(definition: UdfDefinition) -> frozenset[str]:
    """Functions, classes, constants and imports at the top, and the header modules."""
    return _names_at_top(definition.source) | {header.module_name for header in definition.headers}


def missing_attribute(definition: UdfDefinition, name: str) -> str:
    """What to say to somebody who asked for what is not there."""
    near = difflib.get_close_matches(name, defined_names(definition), n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"the UDF {definition.name} has no attribute {name!r}{hint}"


@functools.lru_cache(maxsize=64)
def _names_at_top(source: str) -> frozenset[str]:
    symbols = symtable.symtable(source, "<udf>", "exec").get_symbols()
    return frozenset(symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported())
