"""An OpenAPI 3.1 document: our routes, and an operation with typed parameters for each UDF.

It is made for those who read it: people, generators of clients, agents, and programs that try every operation. So each
operation has a name, examples, and every status that it may answer with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fused_jupyter._version import __version__
from fused_jupyter.server_ext.pages.answers import COMPONENTS, Json, failures, found, not_modified, partial
from fused_jupyter.server_ext.pages.entry import MEDIA_TYPES, Entry
from fused_jupyter.server_ext.pages.hosted_operations import hosted_paths
from fused_jupyter.server_ext.pages.operations import fixed_paths
from fused_jupyter.server_ext.pages.parameters import body_schema, query_parameters

_SECURITY = {
    "jupyterToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The text `token <token of the Jupyter server>`",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of the Jupyter server"},
}
_OF_OWNER = ("format", "cacheMaxAge", "kernel", "version")
_OF_TOKEN = ("format", "cacheMaxAge")
_TILE = tuple(
    {"name": name, "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}, "example": example}
    for name, example in (("x", 0), ("y", 0))
)


def document_of_owner(entries: Iterable[Entry]) -> Json:
    """All routes, and all UDFs of the owner."""
    paths = fixed_paths() | hosted_paths()
    for entry in entries:
        paths |= _paths_of(entry, reserved=_OF_OWNER, is_token=False)
    described = "UDFs of running notebooks and saved ones, as files and tiles. Send the token of the Jupyter server."
    return _document("fused-jupyter", described, paths) | {"security": [{"jupyterToken": []}, {"bearer": []}]}


def document_of_token(entries: Sequence[Entry], *, title: str, description: str) -> Json:
    """What one token opens; its addresses are below the one of the document, so that the token is not in it."""
    paths: Json = {}
    for entry in entries:
        paths |= _paths_of(entry, reserved=_OF_TOKEN, is_token=True)
    return _document(title, description, paths) | {"security": []}


def _document(title: str, description: str, paths: Json) -> Json:
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": title,
            "description": description,
            "version": __version__,
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": ".", "description": "Where this document is"}],
        "paths": paths,
        "components": {**COMPONENTS, "securitySchemes": _SECURITY},
    }


def _paths_of(entry: Entry, *, reserved: Sequence[str], is_token: bool) -> Json:
    shared = [{"$ref": f"#/components/parameters/{name}"} for name in reserved]
    file = f"/{entry.file}.{{extension}}"
    paths: Json = {
        file: {
            "parameters": [_extension(entry.formats), *shared],
            "get": _get(entry, is_token=is_token),
            "post": _post(entry, is_token=is_token),
        }
    }
    if entry.spatial is not None:
        address = f"/{entry.tiles}/{{z}}/{{x}}/{{y}}.{{extension}}"
        places = [_zoom(entry.zooms), *_TILE, _extension(_of_tiles(entry.formats))]
        paths[address] = {"parameters": [*places, *shared], "get": _tile(entry, is_token=is_token)}
    return paths


def _get(entry: Entry, *, is_token: bool) -> Json:
    return {
        "operationId": f"get_udf_{entry.name}",
        "tags": [entry.name],
        "summary": f"Run {entry.name}",
        "description": entry.description,
        "parameters": query_parameters(entry, is_tile=False),
        "responses": _responses(entry.formats, is_token=is_token),
    }


def _post(entry: Entry, *, is_token: bool) -> Json:
    return {
        "operationId": f"post_udf_{entry.name}",
        "tags": [entry.name],
        "summary": f"Run {entry.name}, arguments in the body",
        "description": entry.description,
        "requestBody": {"content": {"application/json": {"schema": body_schema(entry)}}},
        "responses": _responses(entry.formats, is_token=is_token),
    }


def _tile(entry: Entry, *, is_token: bool) -> Json:
    return {
        "operationId": f"tile_udf_{entry.name}",
        "tags": [entry.name],
        "summary": f"One tile of {entry.name}",
        "description": entry.description,
        "parameters": query_parameters(entry, is_tile=True),
        "responses": _responses(_of_tiles(entry.formats), is_token=is_token),
    }


def _responses(formats: Sequence[str], *, is_token: bool) -> Json:
    kinds = sorted({MEDIA_TYPES.get(name, "application/octet-stream") for name in formats})
    return {
        "200": found(kinds),
        "204": {"description": "The tile is empty"},
        "206": partial(kinds),
        "304": not_modified(),
        **failures("run", is_token=is_token),
    }


def _extension(formats: Sequence[str]) -> Json:
    return {
        "name": "extension",
        "in": "path",
        "required": True,
        "description": "The format of the result",
        "schema": {"type": "string", "enum": list(formats)},
        "example": formats[0],
    }


def _zoom(zooms: tuple[int, int]) -> Json:
    lowest, highest = zooms
    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    return {"name": "z", "in": "path", "required": True, "schema": schema, "example": lowest}


def _of_tiles(formats: Sequence[str]) -> tuple[str, ...]:
    """Those formats that maps can draw, if there are any."""
    drawn = ("png", "jpg", "webp", "avif", "gif", "mvt", "geojson")
    return tuple(name for name in drawn if name in formats) or tuple(formats)
