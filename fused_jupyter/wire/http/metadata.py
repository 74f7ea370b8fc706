"""What is known of a run beside its result, for its owner: one header of JSON, as Fused's own client reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fused_jupyter.errors import FusedError, UdfRuntimeError, UdfSerializationError, UdfTimeoutError, WorkerLostError
from fused_jupyter.wire import Reply

HEADER = "x-fused-metadata"

_LONGEST = 11_000
"""Bytes. aiohttp refuses answers with a header above 12 000."""

_ERROR_TYPES: Mapping[type[FusedError], str | None] = {
    UdfRuntimeError: None,
    WorkerLostError: None,
    UdfSerializationError: "serialization_error",
    UdfTimeoutError: "timeout_error",
}
"""Errors of a run → what Fused's client calls them, where it has an exception of its own for them."""


def metadata_of_result(reply: Reply) -> dict[str, str]:
    """The header, if the UDF printed anything.

    >>> metadata_of_result(Reply(id=1, stdout="hello"))
    {'x-fused-metadata': '{"stdout": "hello"}'}
    """
    return _header({"stdout": reply.stdout, "stderr": reply.stderr})


def metadata_of_error(error: FusedError) -> dict[str, str]:
    """The header, if the UDF had begun to run."""
    return metadata_of_failure(error) if type(error) in _ERROR_TYPES else {}


def metadata_of_failure(error: FusedError) -> dict[str, str]:
    """The header of any error: Fused's own client makes the same exception of all that have it.

    >>> metadata_of_failure(FusedError("no"))
    {'x-fused-metadata': '{"has_exception": true, "exception_class": "FusedError", "errormsg": "no"}'}
    """
    return _header(
        {
            "has_exception": True,
            "exception_class": error.child_exception_class or type(error).__name__,
            "error_type": _ERROR_TYPES.get(type(error)),
            "lineno": error.line,
            "errormsg": error.message[:300],
            "stderr": error.stderr,
            "stdout": error.stdout,
        }
    )


def _header(told: Mapping[str, Any]) -> dict[str, str]:
    told = {name: value for name, value in told.items() if value}
    while told and len(text := json.dumps(told)) > _LONGEST:
        told.popitem()  # a host sends no more output than fits; who sends more is not heard
    return {HEADER: text} if told else {}
