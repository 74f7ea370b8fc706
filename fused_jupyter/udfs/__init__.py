"""The UDF as a value: its source, its parameters, its digest; and how text becomes typed arguments. No I/O."""

from fused_jupyter.udfs.binding import bind
from fused_jupyter.udfs.coercers import (
    COERCERS,
    MISFITS,
    Coercer,
    Coercers,
    Coercion,
    UnfitError,
    as_text,
    parse_json,
)
from fused_jupyter.udfs.coercion import coerce, shown
from fused_jupyter.udfs.definition import (
    COLLECTION,
    DEFAULT_COLLECTION,
    KERNEL_ENGINE,
    SIBLINGS,
    HeaderModule,
    SourceDigest,
    UdfDefinition,
)
from fused_jupyter.udfs.max_age import parse_max_age
from fused_jupyter.udfs.parameters import Parameter
from fused_jupyter.udfs.parsing import (
    Choices,
    declared_headers,
    declared_uses,
    decorator_of,
    marked_functions,
    names_to_use,
    parse,
    placed,
    renamed,
    using,
    with_default_parameters,
)
from fused_jupyter.udfs.published import published_values
from fused_jupyter.udfs.schemas import names_in
from fused_jupyter.udfs.texts import plain, text_of

__all__ = [
    "COERCERS",
    "COLLECTION",
    "DEFAULT_COLLECTION",
    "KERNEL_ENGINE",
    "MISFITS",
    "SIBLINGS",
    "Choices",
    "Coercer",
    "Coercers",
    "Coercion",
    "HeaderModule",
    "Parameter",
    "SourceDigest",
    "UdfDefinition",
    "UnfitError",
    "as_text",
    "bind",
    "coerce",
    "declared_headers",
    "declared_uses",
    "decorator_of",
    "marked_functions",
    "names_in",
    "names_to_use",
    "parse",
    "parse_json",
    "parse_max_age",
    "placed",
    "plain",
    "published_values",
    "renamed",
    "shown",
    "text_of",
    "using",
    "with_default_parameters",
]
