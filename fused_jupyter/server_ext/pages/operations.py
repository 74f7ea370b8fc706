"""The routes that are the same whatever UDFs there are, as OpenAPI paths below `fused/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fused_jupyter.server_ext.pages.answers import Json, failures, found, json_answer, not_modified, partial
from fused_jupyter.server_ext.pages.assets import ASSETS, VERSION
from fused_jupyter.server_ext.pages.entry import DEEPEST_ZOOM, MEDIA_TYPES

_UDF = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_COORDINATE = {"type": "integer", "minimum": 0}
_IN_PATH: dict[str, tuple[Json, Any]] = {
    "udf": (_UDF, "my_udf"),
    "extension": ({"type": "string", "enum": list(MEDIA_TYPES)}, "json"),
    "z": ({"type": "integer", "minimum": 0, "maximum": DEEPEST_ZOOM}, 0),
    "x": (_COORDINATE, 0),
    "y": (_COORDINATE, 0),
    "run": ({"type": "string", "pattern": "^[0-9a-f]{12}$"}, "0123456789ab"),
    "code": ({"type": "string", "enum": ["map.js"]}, "map.js"),
    "version": ({"type": "string", "pattern": "^[0-9a-f]{12}$"}, VERSION),
    "asset": ({"type": "string", "enum": sorted(ASSETS)}, "page.js"),
}
"""Parts of a path → their schema and an example."""

_ANY_RESULT = sorted(set(MEDIA_TYPES.values()))
_RUN_REFERENCES = [
    {"$ref": f"#/components/parameters/{name}"} for name in ("format", "cacheMaxAge", "kernel", "version")
]
_ARGUMENTS: Json = {
    "name": "arguments",
    "in": "query",
    "description": "The arguments of the UDF, each by its name",
    "schema": {"type": "object", "additionalProperties": True},
    "style": "form",
    "explode": True,
}

_JSON = "application/json"
_LOOKS: tuple[tuple[str, str, str, str], ...] = (
    ("/ping", "ping", "The version of the extension, and whether a kernel can be asked", _JSON),
    ("/health", "health", "Whether every kernel's host answers", _JSON),
    ("/metrics", "metrics", "For Prometheus", "text/plain"),
    ("/runs", "runs", "What waits and what goes on", _JSON),
    ("/runs/{run}", "show_run", "A run that waits or goes on", _JSON),
    ("/udfs", "udfs", "All UDFs, with their parameters as JSON Schema", _JSON),
    ("/udfs/{udf}", "show_udf", "One UDF", _JSON),
    ("/udfs.html", "udfs_page", "All UDFs, for people", "text/html"),
    ("/udfs/{udf}.html", "page_of_udf", "One UDF, for people: a form, its result, snippets", "text/html"),
    ("/udfs/{udf}/map", "map_of_udf", "One UDF, for people: a map that fills the page", "text/html"),
    ("/openapi.json", "openapi", "This document", _JSON),
    ("/run/tiles/{udf}/tilejson.json", "tilejson", "TileJSON 3.0 of a UDF", _JSON),
    ("/wmts", "wmts", "WMTS 1.0.0 with parameters in the query", "text/xml"),
    (
        "/wmts/1.0.0/WMTSCapabilities.xml",
        "wmts_capabilities",
        "UDFs that give tiles, for QGIS and ArcGIS",
        "text/xml",
    ),
    ("/static/{code}", "static_file", "The code of the map widget", "text/javascript"),
    ("/pages/{version}/{asset}", "page_file", "Code and style of the pages", "text/javascript"),
)
"""Path → operation, what it gives, media type."""


def fixed_paths() -> Json:
    """All of them."""
    paths = {path: {"get": _look(path, *rest)} for path, *rest in _LOOKS}
    paths["/runs/{run}"]["delete"] = _operation(
        "stop_run",
        "Stop a run; whoever waits for it is told so",
        parameters=parts_of("/runs/{run}"),
        responses={"202": json_answer("It is being stopped"), **failures("look")},
    )
    paths["/pages/{version}/{asset}"]["get"]["security"] = []
    file, tile = "/run/file/{udf}.{extension}", "/run/tiles/{udf}/{z}/{x}/{y}.{extension}"
    for path, name in ((file, "run_file"), (tile, "run_tile")):
        paths[path] = {"get": _run(name, "Run a UDF by its name", path=path, also=[_ARGUMENTS])}
    body = {"content": {_JSON: {"schema": {"type": "object"}, "example": {"min_mag": 6}}}}
    paths[file]["post"] = _run("post_file", "Run a UDF by its name, arguments in the body", path=file)
    paths[file]["post"]["requestBody"] = body
    return paths


def parts_of(path: str) -> list[Json]:
    """The parameters that stand in a path.

    >>> [(part["name"], part["example"]) for part in parts_of("/udfs/{udf}")]
    [('udf', 'my_udf')]
    """
    return [
        {"name": name, "in": "path", "required": True, "schema": schema, "example": example}
        for name, (schema, example) in _IN_PATH.items()
        if f"{{{name}}}" in path
    ]


def _look(path: str, name: str, summary: str, media_type: str) -> Json:
    answers = {"200": {"description": summary, "content": {media_type: {"schema": {}}}}, **failures("look")}
    return _operation(name, summary, parameters=parts_of(path), responses=answers)


def _run(name: str, summary: str, *, path: str, also: Sequence[Json] = ()) -> Json:
    return _operation(
        name,
        summary,
        parameters=[*parts_of(path), *_RUN_REFERENCES, *also],
        responses={
            "200": found(_ANY_RESULT),
            "204": {"description": "The tile is empty"},
            "206": partial(_ANY_RESULT),
            "304": not_modified(),
            **failures("run"),
        },
    )


def _operation(name: str, summary: str, *, parameters: Sequence[Json], responses: Mapping[str, Any]) -> Json:
    return {
        "operationId": name,
        "tags": ["server"],
        "summary": summary,
        "parameters": list(parameters),
        "responses": dict(responses),
    }
