"""What a UDF may know of the request that it answers, and what that means for results that are kept.

A UDF whose code asks for nothing gets nothing: then everybody's request for the same is one, and has one result.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace

from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Run

SHARE_HEADER = "fused-share-token"

_CONTEXT = re.compile(r"\bcontext\b")
"""As a word anywhere: rather one UDF too many, whose results are kept for each client apart, than one too few."""


def asks(definition: UdfDefinition) -> bool:
    """Whether its code, or that of its header modules, may look at the request."""
    return any(map(_asks, (definition.source, *(header.source for header in definition.headers))))


def seen(definition: UdfDefinition, run: Run) -> Mapping[str, str] | None:
    """The headers that its UDF gets to see; None where its code asks for none."""
    return run.headers if run.headers and asks(definition) else None


def with_request(definition: UdfDefinition, run: Run) -> Run:
    """A run that says which token it comes by, where its UDF asks for such things; others stay as they are.

    A token is told by its public id, which opens nothing: what UDFs print and return goes to others.
    """
    if not asks(definition):
        return run
    headers = dict(run.headers or {})
    headers.pop(SHARE_HEADER, None)  # only we say that
    if run.share is not None:
        kind, name = ("fc", f"/{run.udf}") if run.udf else ("fsh", "")
        headers[SHARE_HEADER] = f"{kind}_{run.share[:12]}{name}"
    return replace(run, headers=headers or None)


@functools.lru_cache(maxsize=512)
def _asks(source: str) -> bool:
    return _CONTEXT.search(source) is not None
