"""What stands in the addresses of UDFs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs import plain, text_of


def as_query(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as a query carries them; None is left out.

    Raises:
        ArgumentError: one is nothing that a URL can carry.

    >>> as_query({"n": 3, "names": ["a", "b"], "nothing": None})
    {'n': '3', 'names': '["a","b"]'}
    """
    import orjson

    texts = {}
    for name, value in parameters.items():
        try:
            is_compound = isinstance(value, (list, tuple, set, frozenset, Mapping))
            text = orjson.dumps(plain(value)).decode() if is_compound else None if value is None else text_of(value)
        except TypeError as exc:
            raise ArgumentError(f"{name}: {exc}, which a URL could carry; pass data", parameter=name) from exc
        if text is not None:
            texts[name] = text
    return texts
