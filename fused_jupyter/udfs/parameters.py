"""The parameters of a UDF as its source text shows them, and their JSON Schema."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from fused_jupyter.udfs.schemas import choices, json_has, name_of, parsed, schema_of_annotation

Kind = Literal["positional", "keyword", "variadic"]

_SPATIAL_TYPES = frozenset({"Bounds", "Bbox", "TileXYZ", "TileGDF", "Tile", "ViewportGDF", "GeoDataFrame"})
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
    classes: Mapping[str, Sequence[Any]] = field(default_factory=dict, hash=False)
    """The cell's own classes that the annotation names: the values of an enum, nothing for others."""

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
        schema = schema_of_annotation(self.annotation, self.classes)
        if self.is_spatial:
            schema = {"description": "west,south,east,north in degrees (EPSG:4326); a tile request fills it in"}
        if self.has_default and self.default_text != "None" and (self.default is not None):
            schema["default"] = self.default
        return schema


def parameters_of(function: ast.FunctionDef, tree: ast.Module | None = None) -> tuple[Parameter, ...]:
    """The parameters in order, the spatial one marked.

    Args:
        function: the entry point.
        tree: the source with it, for the classes in it.
    """
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
    classes = {} if tree is None else _classes(tree)
    members = {} if tree is None else _enum_members(tree)
    return tuple(
        replace(
            parameter,
            is_spatial=parameter.name == spatial,
            classes=_named(parameter, classes),
            default=members.get(parameter.default_text, parameter.default),
        )
        for parameter in found
    )


def with_defaults(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters, where a value is given with that as their default."""
    return tuple(
        replace(parameter, default=values[parameter.name], default_text=repr(values[parameter.name]))
        if parameter.name in values and parameter.kind != "variadic"
        else parameter
        for parameter in parameters
    )


@functools.lru_cache(maxsize=256)
def without_none(annotation: str) -> str:
    """The annotation of a value that is not None.

    >>> without_none("int | None"), without_none("Optional[fused.types.Bounds]"), without_none("int | str")
    ('int', 'fused.types.Bounds', 'int | str')
    """
    node = parsed(annotation)
    kinds = [] if node is None else [text for each in choices(node) if (text := ast.unparse(each)) != "None"]
    return kinds[0] if len(kinds) == 1 else annotation


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


def _classes(tree: ast.Module) -> dict[str, list[Any]]:
    return {node.name: _members(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _members(node: ast.ClassDef) -> list[Any]:
    """Of an enum, the values that JSON has, and the names of members with others."""
    if not any(name_of(base).endswith("Enum") for base in node.bases):
        return []
    members = [
        (statement.targets[0], _literal(statement.value))
        for statement in node.body
        if isinstance(statement, ast.Assign)
    ]
    return [ast.unparse(name) if value is None or not json_has(value) else value for name, value in members]


def _enum_members(tree: ast.Module) -> dict[str, Any]:
    """The values of enums by what a default calls them: ``Band.RED``."""
    return {
        f"{node.name}.{ast.unparse(target)}": value
        for node in tree.body
        if isinstance(node, ast.ClassDef) and _members(node)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if json_has(value := _literal(statement.value))
    }


def _named(parameter: Parameter, classes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    node = parsed(parameter.annotation) if classes and parameter.annotation else None
    names = set() if node is None else {name_of(each) for each in ast.walk(node) if isinstance(each, ast.expr)}
    return {name: members for name, members in classes.items() if name in names}
