"""What the `meta.json` of a public UDF says beside its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_VALUES = "fused:defaultParameters"


def published_values(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a first run, by parameter: `fused:defaultParameters`, as an object or as Fused's list of controls.

    >>> controls = [{"parameter": "n", "value": "3"}, {"parameter": "m", "value": ""}]
    >>> published_values({"fused:defaultParameters": controls})
    {'n': '3'}
    """
    values = metadata.get(_VALUES)
    if isinstance(values, Mapping):
        return dict(values)
    rows = [row for row in values if isinstance(row, Mapping)] if isinstance(values, list) else []
    # Empty is what a control shows in which nobody wrote.
    return {
        str(row["parameter"]): row["value"]
        for row in rows
        if row.get("parameter") and row.get("value", "") not in ("", None)
    }
