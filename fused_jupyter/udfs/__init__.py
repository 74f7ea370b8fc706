"""The UDF as a value: its source, its parameters, its digest; and how text becomes typed arguments. No I/O."""

from fused_jupyter.udfs.binding import bind
from fused_jupyter.udfs.coercion import COERCERS, Coercer, Coercion, coerce
from fused_jupyter.udfs.definition import HeaderModule, SourceDigest, UdfDefinition
from fused_jupyter.udfs.max_age import parse_max_age
from fused_jupyter.udfs.parameters import Parameter
from fused_jupyter.udfs.parsing import Choices, parse

__all__ = [
    "COERCERS",
    "Choices",
    "Coercer",
    "Coercion",
    "HeaderModule",
    "Parameter",
    "SourceDigest",
    "UdfDefinition",
    "bind",
    "coerce",
    "parse",
    "parse_max_age",
]
