"""The parameters of a UDF as its source text shows them, and their JSON Schema."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["positional", "keyword", "variadic"]

_SPATIAL_TYPES = frozenset({"Bounds", "Bbox", "TileXYZ", "TileGDF", "Tile", "ViewportGDF"})
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
        return first.name if first.annotation.rpartition(".")[2] in _SPATIAL_TYPES else None
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
    parts = [part.strip() for part in annotation.removeprefix("typing.").split("|")]
    if annotation.removeprefix("typing.").startswith("Optional["):
        parts = [annotation[annotation.index("[") + 1 : -1], "None"]
    known = [_SCHEMAS.get(part.partition("[")[0].lower()) for part in parts if part != "None"]
    if len(known) != 1 or known[0] is None:
        return {}
    schema = dict(known[0])
    if "None" in parts:
        schema["type"] = [schema["type"], "null"]
    return schema
