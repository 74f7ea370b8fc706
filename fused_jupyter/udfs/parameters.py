"""The parameters of a UDF as its source text shows them, and their JSON Schema."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["positional", "keyword", "variadic"]

_SPATIAL_TYPES = frozenset({"Bounds", "Bbox", "TileXYZ", "TileGDF", "Tile", "ViewportGDF"})
_UNIONS = frozenset({"Optional", "Union"})
_SPATIAL_NAMES = ("bounds", "bbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. Nothing of the UDF is run to learn this."""

    name: str
    annotation: str = ""
    """Source text, empty where there is none."""
    default: Any = None
    """Value of a literal default."""
    default_text: str = ""
    """Source text of the default, empty where the argument is required."""
    kind: Kind = "positional"
    is_spatial: bool = False
    """Whether this is the one that takes the tile."""

    @property
    def bare_annotation(self) -> str:
        """``Bounds`` of ``Bounds | None`` or ``Optional[Bounds]``; other annotations as they are."""
        return without_none(self.annotation)

    @property
    def has_default(self) -> bool:
        """Whether the argument may be left out."""
        return bool(self.default_text)

    @property
    def is_required(self) -> bool:
        """Whether a file request without it is an error. The spatial parameter is None then, as Fused has it."""
        return not self.has_default and not self.is_spatial and self.kind != "variadic"

    def __str__(self) -> str:
        prefix = "**" if self.kind == "variadic" else ""
        annotation = f": {self.annotation.removeprefix('fused.types.')}" if self.annotation else ""
        default = f" = {self.default_text}" if self.default_text else ""
        return f"{prefix}{self.name}{annotation}{default}"

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)

    def schema(self) -> dict[str, Any]:
        """This parameter as JSON Schema (draft 2020-12)."""
        schema = dict(_schema_of(self.annotation))
        if self.is_spatial:
            schema = {"description": "west,south,east,north in degrees (EPSG:4326); a tile request fills it in"}
        if self.has_default and self.default_text != "None" and (self.default is not None):
            schema["default"] = self.default
        return schema


def parameters_of(function: ast.FunctionDef) -> tuple[Parameter, ...]:
    """The parameters in order, the spatial one marked."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(positional) - len(arguments.defaults))
    found = [
        _parameter(argument, default, kind="positional")
        for argument, default in zip(positional, [*missing, *arguments.defaults], strict=True)
    ]
    found += [
        _parameter(argument, default, kind="keyword")
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg is not None:
        found.append(_parameter(arguments.kwarg, None, kind="variadic"))
    spatial = _spatial_name(found)
    return tuple(_marked(parameter) if parameter.name == spatial else parameter for parameter in found)


def without_none(annotation: str) -> str:
    """The annotation of a value that is not None.

    >>> without_none("int | None"), without_none("Optional[fused.types.Bounds]"), without_none("int | str")
    ('int', 'fused.types.Bounds', 'int | str')
    """
    kinds, _ = _kinds(annotation)
    return kinds[0] if len(kinds) == 1 else annotation


@functools.lru_cache(maxsize=256)
def _kinds(annotation: str) -> tuple[tuple[str, ...], bool]:
    """What a value may be, and whether it may also be None."""
    try:
        choices = [ast.unparse(choice) for choice in _choices(ast.parse(annotation, mode="eval").body)]
    except SyntaxError:  # text in quotes that is no annotation
        return (annotation,), False
    return tuple(choice for choice in choices if choice != "None"), "None" in choices


def _choices(node: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, however it is written."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _choices(left)
            yield from _choices(right)
        case ast.Subscript(value=generic, slice=inner) if ast.unparse(generic).rpartition(".")[2] in _UNIONS:
            for choice in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
                yield from _choices(choice)
            if ast.unparse(generic).endswith("Optional"):
                yield ast.Constant(None)
        case _:
            yield node


def schema_of(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """All parameters as one JSON Schema object."""
    return {
        "type": "object",
        "properties": {parameter.name: parameter.schema() for parameter in parameters if parameter.kind != "variadic"},
        "required": [parameter.name for parameter in parameters if parameter.is_required],
        "additionalProperties": any(parameter.kind == "variadic" for parameter in parameters),
    }


def _parameter(argument: ast.arg, default: ast.expr | None, *, kind: Kind) -> Parameter:
    return Parameter(
        name=argument.arg,
        annotation=_annotation(argument.annotation),
        default=_literal(default),
        default_text="" if default is None else ast.unparse(default),
        kind=kind,
    )


def _annotation(node: ast.expr | None) -> str:
    if node is None:
        return ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value  # "int" in quotes means int
    return ast.unparse(node)


def _literal(node: ast.expr | None) -> Any:  # whatever the user wrote as a default
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return None


def _spatial_name(parameters: Sequence[Parameter]) -> str | None:
    """`bounds`, else `bbox`, else the first one if its annotation is spatial or it has none and is required."""
    names = {parameter.name for parameter in parameters if parameter.kind != "variadic"}
    for name in _SPATIAL_NAMES:
        if name in names:
            return name
    if not parameters or parameters[0].kind == "variadic":
        return None
    first = parameters[0]
    if first.annotation:
        return first.name if first.bare_annotation.rpartition(".")[2] in _SPATIAL_TYPES else None
    return None if first.has_default and first.default_text != "None" else first.name


def _marked(parameter: Parameter) -> Parameter:
    return Parameter(**(parameter.to_json() | {"is_spatial": True}))


_SCHEMAS: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "dict": {"type": "object"},
}


def _schema_of(annotation: str) -> dict[str, Any]:
    """The schema for an annotation's text; what the text does not tell is left open."""
    kinds, may_be_none = _kinds(annotation)
    if len(kinds) != 1:
        return {}
    schema = dict(_SCHEMAS.get(kinds[0].partition("[")[0].rpartition(".")[2].lower(), {}))
    if schema and may_be_none:
        schema["type"] = [schema["type"], "null"]
    return schema
