"""What a result depends on, as one text: code, arguments, tile, format, encoder, the chosen variables.

Arguments over HTTP are text, and become what their parameter's annotation says in the worker. So `4`, `04` and JSON's 4
are one argument of a parameter that is annotated as a whole number; of one that is not, the UDF would see three. Where
that is not sure, two spellings are two results, never the other way round.
"""

from __future__ import annotations

import functools
import hashlib
import symtable
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime.asked import seen
from fused_jupyter.udfs import UdfDefinition, coerce
from fused_jupyter.udfs.coercion import shown
from fused_jupyter.wire import Run

ENCODER_VERSION = 3
"""Raised when the same value gives other bytes: old results are not found any more."""

_PLAIN: dict[str, type] = {kind.__name__: kind for kind in (bool, float, int, str)}
"""Annotations whose arguments have one spelling here: what the worker makes of the text."""


_LONGEST_VALUE, _MOST_SHOWN = 50, 8
"""Of arguments in lists: characters, and how many."""


class Keys:
    """Makes the keys of results.

    Args:
        environment: gives what tells two choices of variables apart.
    """

    def __init__(self, environment: Callable[[], str] = str) -> None:
        self._environment = environment
        self._kinds: dict[str, Mapping[str, type]] = {}

    def of(self, definition: UdfDefinition, run: Run) -> str:
        """The key of a result; empty where nobody can tell the arguments from others."""
        if run.parameters is None and not run.arguments_digest:
            return ""
        wanted = [run.extension, run.format, run.dtype_out_raster, run.dtype_out_vector, run.accept, run.returns]
        if (headers := seen(definition, run)) is not None:
            wanted.append(orjson.dumps(headers, option=orjson.OPT_SORT_KEYS).decode())
        return self._digest(["result", definition.digest, self._arguments(definition, run), run.tile, wanted])

    def layer(self, definition: UdfDefinition, run: Run) -> str:
        """The key of what all tiles of a layer share: the code and the arguments."""
        return self._digest(["domain", definition.digest, self._arguments(definition, run)])

    def _digest(self, parts: list[Any]) -> str:
        content = orjson.dumps([ENCODER_VERSION, self._environment(), *parts], option=orjson.OPT_NON_STR_KEYS)
        return hashlib.sha256(content).hexdigest()

    def _arguments(self, definition: UdfDefinition, run: Run) -> Any:
        """By name, so that the order in which they came does not count; what is inside of them keeps its order."""
        if run.parameters is None:
            return run.arguments_digest
        if not run.parameters:
            return []
        kinds = self._kinds.get(definition.digest)
        if kinds is None:
            kinds = self._kinds[definition.digest] = _plain_parameters(definition)
        return [[name, *_spelled(value, kinds.get(name))] for name, value in sorted(run.parameters.items())]


def digest_of(arguments: Mapping[str, Any]) -> str:
    """What tells the arguments of a Python call from others, by their content; empty where it cannot be read.

    The same table pickles differently after some column was looked at; this sees only what it holds.

    >>> digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2.0], "a": 1})
    True
    >>> digest_of({"a": 1}) == digest_of({"a": "1"})
    False
    """
    from fused_jupyter.caching.contents import UnreadableError
    from fused_jupyter.caching.reach import start_digest

    digester = start_digest()
    try:
        digester.add({name: arguments[name] for name in sorted(arguments)})
    except (UnreadableError, RecursionError):
        return ""
    except Exception:  # noqa: BLE001 - of the user's own classes
        return ""
    return digester.hexdigest()


def with_digest(run: Run, arguments: Mapping[str, Any]) -> Run:
    """A run from Python with what its result is found and listed by."""
    texts: list[str] = []
    for name, value in arguments.items():
        texts.append(f"{name}={shown(value)[:_LONGEST_VALUE]}")
        if len(texts) == _MOST_SHOWN:
            break
    return replace(run, arguments_digest=digest_of(arguments), arguments_text=", ".join(texts))


def _spelled(value: Any, kind: type | None) -> list[Any]:
    """What JSON can hold of an argument, in one spelling where that is sure."""
    if kind is None or not isinstance(value, (str, int, float)):
        return [value]
    try:
        typed = coerce(value, kind, parameter="")
    except ArgumentError:  # the run will say so
        return [value]
    # By repr, as JSON has no infinity; and with its type, so that it is no text that looks like it.
    return [kind.__name__, repr(typed)] if type(typed) is kind else [value]


def _plain_parameters(definition: UdfDefinition) -> Mapping[str, type]:
    """The parameters of which the annotation says all, unless the code gives its words another meaning."""
    kinds = {
        parameter.name: kind
        for parameter in definition.parameters
        if parameter.kind != "variadic"
        and not parameter.is_spatial
        and (kind := _PLAIN.get(parameter.annotation.strip("'\""))) is not None
    }
    if not kinds or not _may_redefine(definition.source):
        return kinds
    return {}


@functools.lru_cache(maxsize=256)
def _may_redefine(source: str) -> bool:
    """Whether the code makes a name such as `int` its own."""
    try:
        symbols = symtable.symtable(source, "<udf>", "exec").get_symbols()
    except SyntaxError:
        return True
    made = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported() or each.is_namespace()}
    return "import *" in source or not made.isdisjoint(_PLAIN)
