"""JSON Schema (draft 2020-12) of what an annotation takes, from its text: nothing of the UDF is run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

Schema = dict[str, Any]

_UNIONS = frozenset({"Optional", "Union"})
_MARKS = frozenset({"Annotated", "Final", "ClassVar"})


Own = Mapping[str, Sequence[Any]]
"""Classes of the source itself, by name: the values of an enum; nothing for others, which have no schema."""


def schema_of_annotation(annotation: str, own: Own | None = None) -> Schema:
    """The schema for an annotation's text; what the text does not tell is left open.

    Args:
        annotation: as it stands in the source, without the quotes around the whole of it.
        own: classes of the source that it may name.

    >>> schema_of_annotation("list[int] | None")
    {'type': ['array', 'null'], 'items': {'type': 'integer'}}
    """
    node = parsed(annotation)
    return {} if node is None else _schema(node, own or {})


@lru_cache(maxsize=1024)
def parsed(annotation: str) -> ast.expr | None:
    """The annotation as a tree, which nobody changes; None where it is a text that is no annotation."""
    try:
        return ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def choices(node: ast.expr) -> Iterator[ast.expr]:
    """The members of a union, however it is written."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from choices(left)
            yield from choices(right)
        case ast.Subscript(slice=inner) if name_of(node) in _UNIONS:
            for choice in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
                yield from choices(choice)
            if name_of(node) == "Optional":
                yield ast.Constant(None)
        case ast.Subscript(slice=ast.Tuple(elts=[kind, *_])) if name_of(node) in _MARKS:
            yield from choices(kind)
        case ast.Constant(value=str(text)) if (quoted := parsed(text)) is not None:
            yield from choices(quoted)
        case _:
            yield node


def names_in(annotation: str) -> tuple[str, ...]:
    """The names of the types that a value may have.

    >>> names_in("typing.List[float] | None")
    ('List', 'None')
    """
    node = parsed(annotation)
    return () if node is None else tuple(name_of(choice) or ast.unparse(choice) for choice in choices(node))


def name_of(node: ast.expr) -> str:
    """``List`` of ``typing.List[int]``; empty where it is no name."""
    match node:
        case ast.Subscript(value=value):
            return name_of(value)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _schema(node: ast.expr, own: Own) -> Schema:
    members = list(choices(node))
    kinds = [member for member in members if not _is_none(member)]
    schemas = [_schema_of_one(kind, own) for kind in kinds]
    if not schemas or not all(schemas):
        return {}
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return _or_null(schema) if len(kinds) < len(members) else schema


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _schema_of_one(node: ast.expr, own: Own) -> Schema:
    name = name_of(node)
    if name in own:
        return {"enum": [*own[name]]} if own[name] else {}
    inside = _arguments(node)
    if name == "Literal":
        values = [_literal(argument) for argument in inside]
        return {} if any(value is ... for value in values) else {"enum": values}
    schema = dict(_SCHEMAS.get(name, {}))
    if inside and schema:
        schema |= _FILLERS.get(name, _items)(inside, lambda argument: _schema(argument, own))
    return schema


def _arguments(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _literal(node: ast.expr) -> Any:
    """The value of a literal that JSON has, else an ellipsis."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...
    return value if json_has(value) else ...


def json_has(value: Any) -> bool:
    """Whether a value can stand in JSON: not every text and whole number can."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return value is None or isinstance(value, (str, int, float))


SchemaOf = Callable[[ast.expr], Schema]


def _items(inside: list[ast.expr], schema_of: SchemaOf) -> Schema:
    return {"items": items} if (items := schema_of(inside[0])) else {}


def _places(inside: list[ast.expr], schema_of: SchemaOf) -> Schema:
    if len(inside) == 2 and isinstance(inside[1], ast.Constant) and inside[1].value is ...:
        return _items(inside, schema_of)
    return {"prefixItems": [schema_of(place) for place in inside], "minItems": len(inside), "maxItems": len(inside)}


def _properties(inside: list[ast.expr], schema_of: SchemaOf) -> Schema:
    values = schema_of(inside[1]) if len(inside) == 2 else {}
    return {"additionalProperties": values} if values else {}


_FILLERS: dict[str, Callable[[list[ast.expr], SchemaOf], Schema]] = {
    **dict.fromkeys(("tuple", "Tuple"), _places),
    **dict.fromkeys(("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict"), _properties),
    **dict.fromkeys(("ndarray", "NDArray"), lambda _, __: {}),
}
"""What the brackets of a type add, by its name; for all others they say what the items are."""

_GEOMETRIES = (
    "GeoDataFrame", "GeoSeries", "BaseGeometry", "Geometry", "Point", "MultiPoint", "LineString", "MultiLineString",
    "LinearRing", "Polygon", "MultiPolygon", "GeometryCollection",
)  # fmt: skip

_TYPES: tuple[tuple[str, Schema], ...] = (
    ("int int8 int16 int32 int64 uint8 uint16 uint32 uint64 integer", {"type": "integer"}),
    ("float float16 float32 float64 floating Decimal", {"type": "number"}),
    ("bool bool_", {"type": "boolean"}),
    ("str str_ complex Path PurePath", {"type": "string"}),
    ("bytes bytearray", {"type": "string", "contentEncoding": "base64"}),
    ("datetime Timestamp datetime64", {"type": "string", "format": "date-time"}),
    ("date", {"type": "string", "format": "date"}),
    ("time", {"type": "string", "format": "time"}),
    ("timedelta Timedelta timedelta64", {"type": "string", "format": "duration"}),
    ("UUID", {"type": "string", "format": "uuid"}),
    ("list List tuple Tuple Sequence MutableSequence Iterable Collection deque Deque", {"type": "array"}),
    ("set Set frozenset FrozenSet AbstractSet MutableSet", {"type": "array", "uniqueItems": True}),
    ("ndarray NDArray Series", {"type": "array"}),
    ("dict Dict Mapping MutableMapping OrderedDict", {"type": "object"}),
    ("DataFrame", {"type": "array", "items": {"type": "object"}}),
    (
        " ".join(_GEOMETRIES),
        {"description": "GeoJSON, WKT, or west,south,east,north in degrees (EPSG:4326)"},
    ),
)

_SCHEMAS = {name: schema for names, schema in _TYPES for name in names.split()}
"""By the last part of a type's name."""
