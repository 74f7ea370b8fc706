"""What somebody sends to be run: code and arguments in one JSON object, as Fused's own client writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError
from fused_jupyter.server_ext.hosted.handler import json_object
from fused_jupyter.wire.http.requests import Query, first

MAX_BODY = 3_500_000
"""Bytes. Code and arguments travel in the header of a frame; a client sends tables as text."""

_FORMATS = ("format", "dtype_out_raster", "dtype_out_vector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """Code that is to run, and how its result is wanted."""

    udf: Mapping[str, Any]
    """As the client keeps it, without its parameters: so calls of one UDF are of one version."""
    arguments: Mapping[str, Any]
    wanted: Mapping[str, str]
    """`format`, `dtype_out_raster`, `dtype_out_vector` and `cache_max_age`, those that were said."""
    fingerprint: str

    @classmethod
    def of(cls, body: bytes, query: Query) -> Posted:
        """Read a request; what its query says counts more than what its body says.

        Raises:
            ArgumentError: there is no UDF in it.

        >>> step = {"type": "udf", "udf": {"code": "def udf(): return 1"}}
        >>> posted = Posted.of(orjson.dumps({"step_config": orjson.dumps(step).decode(), "cache": False}), {})
        >>> posted.udf, posted.arguments, posted.wanted
        ({'code': 'def udf(): return 1'}, {}, {'cache_max_age': '0'})
        """
        if len(body) > MAX_BODY:
            raise ArgumentError(
                f"the body has {len(body)} bytes, {MAX_BODY} are allowed; pass a file's address instead"
            )
        sent = json_object(body)
        udf = dict(_step(sent.get("step_config"))["udf"])
        arguments = udf.pop("parameters", None) or {}
        if not isinstance(arguments, dict):
            raise ArgumentError(f"parameters: got a JSON {type(arguments).__name__}, need an object")
        wanted = {name: text for name in _FORMATS if (text := _said(name, query, sent))}
        if "," in wanted.get("format", ""):
            wanted["format"] += ",json"  # of several, none may fit; Fused's own example asks for geojson,png of a table
        max_age = _said("cache_max_age", query, sent)
        if sent.get("cache") is False:
            max_age = "0"
        if max_age is not None:
            wanted["cache_max_age"] = max_age
        return cls(udf=udf, arguments=arguments, wanted=wanted, fingerprint=hashlib.sha256(body).hexdigest())

    @property
    def query(self) -> dict[str, list[bytes]]:
        """What is wanted, as if it had come in a query."""
        return {name: [text.encode()] for name, text in self.wanted.items()}


def _step(config: Any) -> Mapping[str, Any]:  # as JSON has it
    if isinstance(config, str):
        try:
            config = orjson.loads(config)
        except ValueError as exc:
            raise ArgumentError(f"step_config is no JSON: {exc}") from exc
    if not isinstance(config, dict):
        raise ArgumentError(f'step_config: got a JSON {type(config).__name__}, need {{"type": "udf", "udf": ...}}')
    if config.get("type", "udf") != "udf" or not isinstance(config.get("udf"), dict):
        raise ArgumentError(f'step_config is of type {config.get("type")!r}; only "udf" can run here, with its "udf"')
    if config.get("input") is not None:
        raise ArgumentError("step_config has an input, for a batch job; send a run for each of its arguments")
    return config


def _said(name: str, query: Query, sent: Mapping[str, Any]) -> str | None:
    said = first(query, name)
    if said is None and isinstance(sent.get(name), (str, int)) and not isinstance(sent[name], bool):
        said = str(sent[name])
    return said
