"""The table of all that an annotation may ask for, and one module for each family of types."""

from fused_jupyter.udfs.coercers.classes import CLASSES
from fused_jupyter.udfs.coercers.containers import CONTAINERS, parse_json
from fused_jupyter.udfs.coercers.entry import (
    MISFITS,
    Coercer,
    Coercers,
    Coercion,
    Entry,
    ExampleOf,
    Fit,
    UnfitError,
)
from fused_jupyter.udfs.coercers.moments import MOMENTS
from fused_jupyter.udfs.coercers.scalars import SCALARS, as_text
from fused_jupyter.udfs.coercers.tables import TABLES

COERCERS: Coercers = {**SCALARS, **MOMENTS, **CONTAINERS, **CLASSES, **TABLES}

__all__ = [
    "COERCERS",
    "MISFITS",
    "Coercer",
    "Coercers",
    "Coercion",
    "Entry",
    "ExampleOf",
    "Fit",
    "UnfitError",
    "as_text",
    "parse_json",
]
