"""`meta.json`: what a saved UDF says of itself beside its source, in the form of the official client.

One step of type `udf`; its source is a file of the folder (`source`), or stands in the JSON itself (`code`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.udfs import UdfDefinition, parse_max_age

META = "meta.json"

_PLACEMENT = ("engine", "disk_size_gb", "region")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A source: in a file, or here."""

    file: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What `meta.json` says."""

    name: str | None
    entrypoint: str | None
    source: Text
    headers: Mapping[str, Text]
    """By the name of the module."""
    default_parameters: Mapping[str, Any]
    metadata: Mapping[str, Any]
    cache_max_age: int | None
    placement: Mapping[str, Any]
    """Where Fused's cloud would run it."""

    @property
    def template(self) -> str | None:
        """What this is on a canvas instead of a UDF: `textbox`, `json_ui`."""
        kind = self.metadata.get("nodeTemplateType")
        return kind if isinstance(kind, str) else None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(text.file for text in (self.source, *self.headers.values()) if text.file is not None)


def write_meta(definition: UdfDefinition, *, source: str, headers: Mapping[str, str]) -> bytes:
    """The content of `meta.json`.

    Args:
        definition: the UDF.
        source: the file that holds its source.
        headers: the files of its header modules, by module name.

    Raises:
        ArgumentError: metadata or a default is nothing that JSON can hold.
    """
    udf = {
        "name": definition.name,
        "type": "geopandas_v2",
        "headers": [{"module_name": name, "source_file": file} for name, file in headers.items()],
        "metadata": dict(definition.metadata),
        "collection_id": None,
        "collection_name": None,
        "entrypoint": definition.entrypoint,
        "cache_max_age": definition.cache_max_age,
        **dict.fromkeys(_PLACEMENT),
        **definition.placement,
        "parameters": dict(definition.default_parameters),
        "original_headers": None,
        "source": source,
    }
    step = {
        "type": "udf",
        "name": definition.name,
        "metadata": None,
        "ignore_chunk_error": False,
        "n_processes": None,
        "udf": udf,
        "input": None,
    }
    try:
        # Indented, as in Fused's own repositories: people read it, and version control compares its lines.
        text = json.dumps(_job(step), indent=2, ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ArgumentError(
            f"{definition.name}: its metadata and default parameters go into {META}, and JSON cannot hold them: {exc}"
        ) from exc


def read_meta(content: bytes, where: str) -> Meta:
    """What `meta.json` says.

    Args:
        content: the file.
        where: its path, for messages.

    Raises:
        UdfDefinitionError: it is no JSON, or not of a UDF.
    """
    try:
        whole = orjson.loads(content.decode("utf-8-sig"))
    except ValueError as exc:
        raise UdfDefinitionError(f"{where} is no JSON: {exc}") from exc
    try:
        step = _only_step(_field(whole, "job_config", dict, required=True))
        udf = _field(step, "udf", dict, required=True)
        return Meta(
            name=_field(udf, "name", str) or _field(step, "name", str),
            entrypoint=_field(udf, "entrypoint", str),
            source=_text(udf, "source", "code", what='"udf"'),
            headers=dict(_header(header) for header in _field(udf, "headers", list) or ()),
            default_parameters=_field(udf, "parameters", dict) or {},
            metadata=_field(udf, "metadata", dict) or {},
            cache_max_age=_max_age(udf.get("cache_max_age")),
            placement={key: udf[key] for key in (*_PLACEMENT, "instance_type") if udf.get(key) is not None},
        )
    except (_Wrong, ArgumentError) as exc:
        raise UdfDefinitionError(f"{where} is not that of a UDF: {exc}") from exc


class _Wrong(Exception):  # noqa: N818 - it never leaves this module
    """What does not fit."""


def _job(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"job_config": {"name": None, "steps": [step], "metadata": None}}


def _only_step(job: Mapping[str, Any]) -> Mapping[str, Any]:
    steps = _field(job, "steps", list, required=True)
    if len(steps) != 1:
        raise _Wrong(f'"steps" has {len(steps)} entries; a UDF is one step')
    kind = _field(steps[0], "type", str, required=True)
    if kind != "udf":
        raise _Wrong(f'its step is of type {kind!r}; only "udf" can be loaded')
    step: Mapping[str, Any] = steps[0]
    return step


def _header(header: Any) -> tuple[str, Text]:
    name = _field(header, "module_name", str, required=True)
    return name, _text(header, "source_file", "source_code", what=f"header {name!r}")


def _text(holder: Mapping[str, Any], file_key: str, code_key: str, *, what: str) -> Text:
    text = Text(file=_field(holder, file_key, str), code=_field(holder, code_key, str))
    if text == Text():
        raise _Wrong(f'{what} needs "{file_key}", the name of a Python file, or "{code_key}"')
    return text


def _max_age(value: Any) -> int | None:
    return None if value is None else parse_max_age(value)


_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "text"}


def _field(holder: Any, key: str, kind: type, *, required: bool = False) -> Any:  # of that kind, or None
    if not isinstance(holder, dict):
        raise _Wrong(f"there should be an object with {key!r}, there is {_short(holder)}")
    value = holder.get(key)
    if value is None and not required:
        return None
    if not isinstance(value, kind):
        raise _Wrong(f"{key!r} should be {_KINDS[kind]}, it is {_short(value)}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
