"""A UDF as Fused's own client sends and gets it: one JSON object, all code in it.

It is the `udf` of a `meta.json` whose sources stand in the JSON itself, so it is read the same way, and no file is
looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.storage.layout import definition_of
from fused_jupyter.storage.meta import META
from fused_jupyter.storage.saved import COLLECTION_ID, ID, SavedUdf
from fused_jupyter.udfs import COLLECTION, UdfDefinition

_PLACE = {ID: "id", COLLECTION: "collection_name", COLLECTION_ID: "collection_id"}
"""What our metadata say of where a UDF is saved → what the official client calls it."""
_OF_CLIENTS = ("fused:slug", "fused:name")
"""What that client puts into metadata and takes out again; it would be wrong after a renaming."""


def body_of(saved: SavedUdf) -> dict[str, Any]:
    r"""What the official client makes its `Udf` of.

    >>> from fused_jupyter.udfs import parse
    >>> double = parse("@fused.udf\ndef double(n: int = 2):\n    return 2 * n")
    >>> saved = SavedUdf(id="1", name="double", collection="default", collection_id="0", version=1, saved_at=0.0,
    ...                  definition=double)
    >>> body_of(saved)["entrypoint"]
    'double'
    """
    place = {"collection_id": saved.collection_id, "collection_name": saved.collection}
    return {**described(saved.definition), **place}


def described(definition: UdfDefinition) -> dict[str, Any]:
    """The same of a UDF that is in no collection."""
    return {
        "name": definition.name,
        "type": "geopandas_v2",
        "code": definition.source,
        "headers": [
            {"module_name": header.module_name, "source_code": header.source, "source_file": header.source_file}
            for header in definition.headers
        ],
        "metadata": dict(definition.metadata) or None,
        "collection_id": None,
        "collection_name": None,
        "entrypoint": definition.entrypoint,
        "cache_max_age": definition.cache_max_age,
        **dict.fromkeys(("engine", "disk_size_gb", "region")),
        **definition.placement,
        "parameters": dict(definition.default_parameters),
        "original_headers": None,
    }


def definition_to_save(body: Mapping[str, Any], *, name: str | None = None) -> UdfDefinition:
    """The UDF in what the official client sends to be saved.

    Args:
        body: the JSON object.
        name: what it is to be called.

    Raises:
        UdfDefinitionError: it is none, or one that needs a notebook.
    """
    definition = _definition({**body, "name": name or body.get("name")})
    if definition.runs_in_kernel:
        raise UdfDefinitionError(
            f'{definition.name} runs in a kernel (engine="kernel"), and a saved UDF runs with no notebook open; leave '
            "the engine out",
            udf=definition.name,
        )
    not_kept = {*_PLACE, *_OF_CLIENTS}
    return replace(definition, metadata={n: value for n, value in definition.metadata.items() if n not in not_kept})


def definition_to_run(body: Mapping[str, Any]) -> UdfDefinition:
    """The UDF in what the official client sends to be run, which also knows where it is saved.

    Raises:
        UdfDefinitionError: it is no UDF.
    """
    definition = _definition(body)
    place = {key: body[theirs] for key, theirs in _PLACE.items() if isinstance(body.get(theirs), str)}
    return replace(definition, metadata={**definition.metadata, **place})


def _definition(body: Mapping[str, Any]) -> UdfDefinition:
    headers = body.get("headers") or []
    if isinstance(headers, Sequence):
        body = {**body, "headers": [_header(header) for header in headers]}
    step = {"type": "udf", "udf": body}
    return definition_of(_Posted(json.dumps({"job_config": {"steps": [step]}}).encode()))


def _header(header: Any) -> Any:  # as JSON has it; who reads it says what is wrong with it
    if not isinstance(header, Mapping) or header.get("source_code") is None:
        return header
    return {"module_name": header.get("module_name"), "source_code": header["source_code"]}


@dataclass(frozen=True, slots=True)
class _Posted:
    """A folder that is only its `meta.json`."""

    content: bytes
    where: str = "what was sent"

    def names(self) -> Sequence[str]:
        return (META,)

    def folders(self) -> Sequence[str]:
        return ()

    def read(self, name: str) -> bytes:
        if name != META:
            raise UdfDefinitionError(f"{self.where} names a file, {name!r}; send its text as source_code or code")
        return self.content
