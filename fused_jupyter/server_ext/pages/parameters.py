"""Parameters of a UDF, from JSON Schema to those of an OpenAPI operation, with an example for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fused_jupyter.server_ext.pages.answers import Json
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.wire.http.requests import RESERVED

BOUNDS = {
    "type": "string",
    "description": "west,south,east,north in degrees (EPSG:4326)",
    "pattern": r"^-?[0-9.]+(,-?[0-9.]+){3}$",
}

_EXAMPLES: dict[str, Any] = {
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "string": "text",
    "array": [],
    "object": {},
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00",
    "duration": "P1D",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}
"""By format or type, for parameters that have no default."""


def query_parameters(entry: Entry, *, is_tile: bool) -> list[Json]:
    """All parameters of a UDF, as a query has them; of a tile the spatial one is known from its address.

    Those whose names are ours come in the body of a POST only.
    """
    return [
        query_parameter(name, schema, is_required=name in entry.required, is_spatial=name == entry.spatial)
        for name, schema in entry.properties.items()
        if name not in RESERVED and not (is_tile and name == entry.spatial)
    ]


def query_parameter(name: str, schema: Mapping[str, Any], *, is_required: bool, is_spatial: bool = False) -> Json:
    """One parameter as a query has it.

    >>> query_parameter("n", {"type": ["integer", "null"], "default": 3}, is_required=False)["schema"]
    {'type': 'integer', 'default': 3}
    """
    shape = BOUNDS if is_spatial else _of_query(schema)
    described = {"name": name, "in": "query", "required": is_required}
    if text := shape.get("description", ""):
        described["description"] = text
    example = "-10,50,2,59" if is_spatial else example_of(schema)
    if _kind(shape) == "object":
        # As text: few generators know parameters whose `content` is JSON.
        shape = {"type": "string", "contentMediaType": "application/json", "contentSchema": shape}
        example = orjson.dumps(example).decode()
    return described | {"schema": shape, "example": example}


def body_schema(entry: Entry) -> Json:
    """The arguments as the object that a POST carries."""
    properties = {
        name: {**schema, "examples": [example_of(schema)]} if name != entry.spatial else {**schema}
        for name, schema in entry.properties.items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(entry.required),
        "additionalProperties": bool(entry.schema.get("additionalProperties", False)),
    }


def example_of(schema: Mapping[str, Any]) -> Any:  # what the parameter takes
    """A value that fits: the default, else the first choice, else one of that type.

    >>> example_of({"enum": ["a", "b"]}), example_of({"type": "string", "format": "date"}), example_of({"default": 5})
    ('a', '2026-01-31', 5)
    """
    if schema.get("default") is not None:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    if "prefixItems" in schema:
        return [example_of(place) for place in schema["prefixItems"]]
    kind = _kind(schema)
    if kind == "array":
        return [example_of(schema.get("items", {}))]
    return _EXAMPLES.get(schema.get("format", ""), _EXAMPLES.get(kind, "text"))


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The JSON types that a schema names.

    >>> types_of({"type": ["integer", "null"]}), types_of({"type": "string"}), types_of({})
    (['integer', 'null'], ['string'], [])
    """
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def _kind(schema: Mapping[str, Any]) -> str:
    return next((each for each in types_of(schema) if each != "null"), "")


def _of_query(schema: Mapping[str, Any]) -> Json:
    """A schema without null, which no query can say; what has no type is text."""
    shape: Json = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    kinds = [each for each in types_of(schema) if each != "null"]
    if kinds:
        shape["type"] = kinds[0] if len(kinds) == 1 else kinds
    if "enum" in shape:
        shape["enum"] = _without_null(shape["enum"])
    if "anyOf" in shape:
        shape["anyOf"] = [each for each in shape["anyOf"] if each != {"type": "null"}]
    if not shape.keys() & {"type", "enum", "anyOf"} and not isinstance(shape.get("default"), (int, float, list, dict)):
        shape["type"] = "string"
    return shape


def _without_null(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]
