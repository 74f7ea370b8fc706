"""One entry of the table: how a type is made, and how to say what was wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Coercer = Callable[[Any], Any]
"""Takes a value that is not None; raises one of `MISFITS` where it does not fit."""

Fit = Callable[[Any, Any, str], Any]
"""(value, annotation, step) gives what is inside a larger value; the step, such as ``[2]``, goes into the error."""

ExampleOf = Callable[[Any], Any]
"""(annotation) gives a value that fits it, as JSON has it."""

MISFITS = (ValueError, TypeError, KeyError, ArithmeticError, OSError)
"""What a coercer may raise. The system's clock functions raise OSError for a year that they do not know."""


class UnfitError(ValueError):
    """The value does not fit, and the type alone does not tell why; the message does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercion:
    """How one type is made from text or from a Python object."""

    convert: Coercer
    expected: str
    """For the error: what."""
    example: str = ""
    """For the error: text that fits."""
    complete: Callable[[Any, Any, Fit], Any] | None = None
    """(converted value, annotation, fit) gives the value with what is inside it made too."""
    loose: Callable[[str, Any], Any] | None = None
    """(text, annotation) gives what `convert` would, from a text that nothing else takes; `1,2` for a list."""
    exemplify: Callable[[Any, ExampleOf], Any] | None = None
    """(annotation, example_of) gives an example where it depends on the annotation."""
    is_scalar: bool = True
    """Whether commas may stand between several of its texts."""


Entry = Coercion | Callable[[Any], Coercion]
"""A coercion, or what makes one from the annotation, for families of types such as enums."""

Coercers = Mapping[Any, Entry]
"""By type; or by text, so that nothing heavy is imported: ``numpy.integer`` for it and all classes below it,
``.model_validate`` for all classes with that attribute."""
