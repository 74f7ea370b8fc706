"""The hosted API as OpenAPI paths: saved UDFs, tokens, files, and runs of code that comes with the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fused_jupyter.server_ext.pages.answers import Json, failures

_BASE = "/server/v1"
_RUN = f"{_BASE}/realtime/{{client}}/api/v1/run/udf"
_JSON = "application/json"
_ANY = "application/octet-stream"
"""Of results, which are in any format."""

_TEXT: Json = {"type": "string"}
_NAMES: Json = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_BOOLEAN: Json = {"type": "boolean"}

_PARAMETERS: dict[str, tuple[Json, Any]] = {
    "client": ({"const": "local"}, "local"),
    "owner": (_TEXT, "me"),
    "collection": (_TEXT, "default"),
    "slug": (_NAMES, "my_udf"),
    "id": ({"type": "string", "format": "uuid"}, "123e4567-e89b-12d3-a456-426614174000"),
    "token": ({"type": "string", "pattern": "^(fsh|fc)_[A-Za-z0-9_-]+$"}, "fsh_0123456789ab"),
    "run_id": ({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"}, "run-1"),
    "root": ({"const": "fd"}, "fd"),
    "key": (_TEXT, "data.csv"),
    "what": ({"enum": ["file", "dir"]}, "file"),
    "path": (_TEXT, "fd://data.csv"),
    "file_name": (_TEXT, "data.csv"),
    "skip": (_COUNT, 0),
    "limit": (_COUNT, 10),
    "content_length": (_COUNT, 1000),
    "max_deletion_depth": (_TEXT, "3"),
    "collection_id": (_TEXT, "123e4567-e89b-12d3-a456-426614174000"),
    "new_token": (_BOOLEAN, False),
    "expires": (_COUNT, 1800000000),
    "signature": (_TEXT, "0" * 64),
    "length": (_COUNT, 1000),
}
"""Every parameter by its name → schema, example."""

_BODIES: dict[str, Json] = {
    "step": {
        "type": "object",
        "required": ["step_config"],
        "properties": {
            "step_config": {"type": ["object", "string"], "description": "A UDF as Fused's client sends it"}
        },
    },
    "name": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    "item": {"type": "object", "required": ["item"], "properties": {"item": {"type": "string"}}},
    "udf": {
        "type": "object",
        "required": ["udf_body", "slug"],
        "properties": {"udf_body": _TEXT, "slug": _NAMES, "udf_type": _TEXT, "collection": _TEXT},
    },
    "token": {"type": "object", "properties": {"udf_id": _TEXT, "enabled": _BOOLEAN, "cache": _BOOLEAN}},
}
_PAGE = ("skip", "limit")


@dataclass(frozen=True, slots=True)
class _Row:
    """One operation: method and path, its name, what it does, its query, its body."""

    address: str
    name: str
    summary: str
    query: tuple[str, ...] = ()
    body: str = ""
    is_open: bool = False
    media_type: str = _JSON


_ROWS = (
    _Row(f"get {_BASE}/health", "hosted_health", "Whether there is somebody", is_open=True),
    _Row(f"get {_BASE}/user/self", "hosted_user", "The owner of this server"),
    _Row(f"get {_BASE}/realtime-instance/available", "hosted_instances", "Where UDFs run"),
    _Row(f"get {_BASE}/execution-env/self", "hosted_environment", "The team, which is the owner alone"),
    _Row("post /run/udf", "run_code", "Run a UDF whose code comes along", body="step", media_type=_ANY),
    _Row(f"post {_RUN}", "hosted_run", "Run a UDF whose code comes along", body="step", media_type=_ANY),
    _Row(f"post {_RUN}/start", "hosted_start", "Start such a run; 202 where it goes on", body="step", media_type=_ANY),
    _Row(f"get {_RUN}/get/{{run_id}}", "hosted_result", "The result of a run; 202 where it goes on", media_type=_ANY),
    _Row(f"get {_RUN}/saved/{{owner}}/{{slug}}", "hosted_run_saved", "Run a saved UDF", media_type=_ANY),
    _Row(f"get {_BASE}/udf/self", "list_saved", "Saved UDFs", _PAGE),
    _Row(f"get {_BASE}/udf/public", "list_public", "None: this server has those of its user", _PAGE),
    _Row(f"post {_BASE}/udf/new", "save_udf", "Save a UDF", body="udf"),
    _Row(f"get {_BASE}/udf/by-id/{{id}}", "saved_by_id", "A saved UDF"),
    _Row(f"post {_BASE}/udf/by-id/{{id}}", "save_version", "Save a new version", body="udf"),
    _Row(f"delete {_BASE}/udf/by-id/{{id}}", "delete_saved", "Delete a saved UDF and its tokens"),
    _Row(
        f"delete {_BASE}/realtime-shared/{{client}}/udf-cache/by-id/{{id}}/delete",
        "delete_saved_results",
        "Delete what is kept of a saved UDF",
    ),
    _Row(
        f"get {_BASE}/udf/by-user-email/{{owner}}/by-collection/{{collection}}/by-slug/{{slug}}",
        "find_saved",
        "A saved UDF by its name",
    ),
    _Row(
        f"get {_BASE}/udf/exec-env/self/by-collection/{{collection}}/by-slug/{{slug}}",
        "find_saved_of_team",
        "A saved UDF by its name",
    ),
    _Row(f"get {_BASE}/udf/shared/by-token/{{token}}", "udf_of_token", "The UDF that a token opens"),
    _Row(f"get {_BASE}/collection/self", "list_collections", "Collections", _PAGE),
    _Row(f"get {_BASE}/collection/by-name/{{collection}}", "find_collection", "A collection by its name"),
    _Row(f"get {_BASE}/collection/by-id/{{id}}", "collection_by_id", "A collection"),
    _Row(f"post {_BASE}/collection/by-id/{{id}}", "rename_collection", "Rename a collection", body="name"),
    _Row(f"delete {_BASE}/collection/by-id/{{id}}", "delete_collection", "Delete a collection that is empty"),
    _Row(f"post {_BASE}/collection/new", "create_collection", "Make a collection", body="name"),
    _Row(f"post {_BASE}/collection/share", "share_collection", "Make a token of it", ("collection_id", "new_token")),
    _Row(f"post {_BASE}/collection/unshare", "unshare_collection", "Delete its tokens", ("collection_id",)),
    _Row(f"post {_BASE}/udf-access-token/new", "create_token", "Make a token; its secret is told once", body="token"),
    _Row(f"get {_BASE}/udf-access-token/self", "list_tokens", "Tokens, without their secrets", _PAGE),
    _Row(f"get {_BASE}/udf-access-token/by-token/{{token}}", "show_token", "A token"),
    _Row(f"post {_BASE}/udf-access-token/by-token/{{token}}", "update_token", "Change a token", body="token"),
    _Row(f"delete {_BASE}/udf-access-token/by-token/{{token}}", "delete_token", "Delete a token"),
    _Row(f"get {_BASE}/files/list", "list_files", "Addresses of what is in a directory", ("path",)),
    _Row(f"get {_BASE}/files/list-details", "list_file_details", "The same with sizes and times", ("path",)),
    _Row(f"get {_BASE}/files/get", "get_file", "A file", ("path",), media_type=_ANY),
    _Row(f"get {_BASE}/files/sign", "sign_file", "A signed address of a file", ("path",)),
    _Row(f"get {_BASE}/files/sign_prefix", "sign_files", "Those of all in a directory", ("path",)),
    _Row(f"get {_BASE}/files/sign-upload", "sign_upload", "One to send a file to", ("path", "content_length")),
    _Row(f"delete {_BASE}/files/delete", "delete_file", "Delete a file or a directory", ("path", "max_deletion_depth")),
    _Row(f"post {_BASE}/files/resolve", "resolve_file", "Its address on this machine", ("path",)),
    _Row(
        f"get {_BASE}/files/signed/{{root}}/{{key}}",
        "signed_file",
        "The file of a signed address",
        ("expires", "signature"),
        is_open=True,
        media_type=_ANY,
    ),
    _Row(
        f"post {_BASE}/files/signed/{{root}}/{{key}}",
        "signed_upload",
        "Send a file to a signed address",
        ("expires", "signature", "length"),
        body="form",
        is_open=True,
    ),
    _Row(f"post {_BASE}/efs/{{client}}/list", "list_mount", "What is in a directory of /mount", body="item"),
    _Row(f"get {_BASE}/efs/{{client}}/download", "get_mount", "A file of /mount", ("file_name",), media_type=_ANY),
    _Row(f"post {_BASE}/efs/{{client}}/upload", "upload_mount", "Send a file to /mount", body="form"),
    _Row(f"delete {_BASE}/efs/{{client}}/delete-{{what}}", "delete_mount", "Delete of /mount", body="item"),
)


def hosted_paths() -> Json:
    """All of them."""
    paths: Json = {}
    for row in _ROWS:
        method, _, path = row.address.partition(" ")
        paths.setdefault(path, {})[method] = _operation(row, path)
    return paths


def _operation(row: _Row, path: str) -> Json:
    in_path = [_parameter(name, "path") for name in _PARAMETERS if f"{{{name}}}" in path]
    operation: Json = {
        "operationId": row.name,
        "tags": ["hosted"],
        "summary": row.summary,
        "parameters": [*in_path, *(_parameter(name, "query") for name in row.query)],
        "responses": {
            "200": {"description": row.summary, "content": {row.media_type: {}}},
            "202": {"description": "It goes on", "content": {_JSON: {}}},
            "204": {"description": "Done"},
            "206": {"description": "The part that `Range` asks for", "content": {row.media_type: {}}},
            **failures("change"),
        },
    }
    if row.body == "form":
        fields: Json = {"type": "object", "required": ["file"], "properties": {"file": {}, "dir": _TEXT}}
        operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": fields}}}
    elif row.body:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": _BODIES[row.body]}}}
    if row.is_open:
        operation["security"] = []
    return operation


def _parameter(name: str, place: str) -> Json:
    schema, example = _PARAMETERS[name]
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "example": example}
