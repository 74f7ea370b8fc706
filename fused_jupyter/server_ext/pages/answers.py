"""What the routes answer, as components of the OpenAPI document: results, errors, headers, common parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_ERROR = {
    "type": "object",
    "required": ["type", "error", "status"],
    "properties": {
        "type": {"type": "string", "description": "The class of the error", "examples": ["ArgumentError"]},
        "error": {"type": "string", "description": "What came, what was wanted, what to do"},
        "status": {"type": "integer", "description": "The HTTP status"},
        "udf": {"type": "string"},
        "parameter": {"type": "string", "description": "The parameter that did not fit"},
        "line": {"type": "integer", "description": "In the source of the UDF, counted from 1"},
        "source_line": {"type": "string"},
        "traceback": {"type": "string", "description": "For the owner only"},
        "child_exception_class": {"type": "string", "description": "What the UDF raised"},
        "retry_after": {"type": "integer", "description": "Seconds"},
        "run": {"type": "string", "description": "The run that failed, as logs call it"},
        "id": {"type": "string", "description": "What the owner finds in the log, where the reason is not told"},
    },
}

_STATUSES = {
    "400": ("BadRequest", "No tile, no known format, or no request that this route understands"),
    "403": ("Forbidden", "No login, or one that may not run code"),
    "404": ("NotFound", "There is nothing of that name, or the token opens nothing"),
    "405": ("MethodNotAllowed", "This route has no such method"),
    "406": ("NotAcceptable", "The format cannot hold this result; the text names those that can"),
    "409": ("Conflict", "It is there already"),
    "416": ("RangeNotSatisfiable", "The range lies behind the end of the result"),
    "422": ("Unprocessable", "An argument does not fit, or the UDF failed"),
    "429": ("TooManyRequests", "The token is used more often than it allows"),
    "500": ("ServerError", "The worker of this run was lost"),
    "502": ("BadGateway", "Something that was asked did not answer as it should"),
    "503": ("Unavailable", "No worker became free in time, or the kernel is restarting"),
    "504": ("Timeout", "The UDF ran too long and was stopped"),
}
"""Status → the name of its component, and when it comes."""

_OF = {
    "look": ("403", "404", "502", "503"),
    "run": ("400", "403", "404", "406", "416", "422", "500", "502", "503", "504"),
    "change": ("400", "403", "404", "409", "422", "500", "502", "503"),
}
_WITH_SECONDS = frozenset({"429", "503"})

_TEXT = {"type": "string"}
_HEADERS = {
    "ETag": ("Of exactly these bytes", _TEXT),
    "Server-Timing": ("Milliseconds in the queue, of the run and of the encoding; where the answer comes from", _TEXT),
    "X-Fused-Run": ("The run that made the answer", _TEXT),
    "x-fused-cached": ("1 for a result that was kept", _TEXT),
}

_PARAMETERS = {
    "format": ("format", "A format, or a list of them with commas, over the one of the address", _TEXT),
    "cacheMaxAge": (
        "cache_max_age",
        "How long a kept result may be old; 0 runs the UDF each time",
        {"type": "string", "pattern": r"^\d+[smhd]?$", "examples": ["10m"]},
    ),
    "kernel": ("kernel", "The kernel that answers, where several have a UDF of that name", _TEXT),
    "version": ("v", "The digest of the version that is wanted", {"type": "string", "pattern": "^[0-9a-f]+$"}),
}


def found(media_types: Sequence[str]) -> Json:
    """A result in one of some formats."""
    return {"description": "The result", "headers": _HEADER_REFERENCES, "content": _content(media_types)}


def partial(media_types: Sequence[str]) -> Json:
    """A part of one."""
    return {"description": "The part that `Range` asks for", "content": _content(media_types)}


def not_modified() -> Json:
    """Nothing new."""
    return {"description": "The result is still the one of `If-None-Match`"}


def json_answer(description: str, schema: Mapping[str, Any] | None = None) -> Json:
    """Some JSON."""
    return {"description": description, "content": {"application/json": {"schema": dict(schema or {"type": "object"})}}}


def failures(kind: str, *, is_token: bool = False) -> Json:
    """Every error status of a kind of route: ``look``, ``run`` or ``change``."""
    statuses = [*_OF[kind], *(("429",) if is_token else ())]
    answers: Json = {status: {"$ref": f"#/components/responses/{_STATUSES[status][0]}"} for status in sorted(statuses)}
    if kind == "run":
        # A UDF may answer with a status of its own.
        answers["default"] = {"description": "What the UDF itself responds"}
    return answers


def _content(media_types: Sequence[str]) -> Json:
    return {name: {"schema": _BODIES.get(name, {})} for name in media_types}


def _failure(status: str, description: str) -> Json:
    answer: Json = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in _WITH_SECONDS:
        answer["headers"] = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return answer


_BODIES: dict[str, Json] = {
    "application/geo+json": {"type": "object", "required": ["type"]},
    "text/csv": {"type": "string"},
    "text/html": {"type": "string"},
}
"""Of other media types there is nothing to say: JSON is whatever the UDF returns, and octets have no schema."""

_HEADER_REFERENCES = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}

COMPONENTS: Json = {
    "schemas": {"Error": _ERROR},
    "responses": {name: _failure(status, text) for status, (name, text) in _STATUSES.items()},
    "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in _HEADERS.items()},
    "parameters": {
        key: {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
        for key, (name, text, schema) in _PARAMETERS.items()
    },
}
