"""Arrays and tables, from JSON. Nothing is imported before an annotation has named it."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from fused_jupyter.udfs.coercers.containers import parse_json, split_items
from fused_jupyter.udfs.coercers.entry import Coercers, Coercion, UnfitError

_SPLIT = {"columns", "data"}
"""Keys of a table as `DataFrame.to_json(orient="split")` writes it; `index` may be there too."""


def array_coercion(annotation: Any) -> Coercion:
    """numpy.ndarray, from a JSON array; null is NaN. ``NDArray[np.float32]`` says of what."""
    import numpy as np

    dtype = _dtype_of(annotation)

    def convert(value: Any) -> Any:
        parsed = parse_json(value) if isinstance(value, str) else value
        if not isinstance(parsed, (list, tuple)) and not hasattr(parsed, "__array__"):
            raise TypeError(value)
        array = np.asarray(parsed)
        if array.dtype == object and not hasattr(parsed, "__array__"):
            array = np.asarray(parsed, dtype=float)
        if dtype is None or np.issubdtype(array.dtype, dtype):
            return array
        with np.errstate(all="ignore"):
            made = array.astype(dtype)
        if array.dtype.kind in "biuf" and made.dtype.kind in "iu" and not np.array_equal(made, array):
            raise UnfitError(f"not all of it fits into {made.dtype}")
        return made

    return Coercion(
        convert=convert,
        loose=lambda text, _: convert(split_items(text, list)),
        expected="a JSON array",
        example="[1, 2]",
        is_scalar=False,
    )


def _dtype_of(annotation: Any) -> Any:
    """The class of numbers that ``NDArray[np.float32]`` names, None where it leaves that open."""
    import numpy as np

    for argument in typing.get_args(annotation)[1:]:
        for scalar in typing.get_args(argument):
            if isinstance(scalar, type) and issubclass(scalar, np.generic) and scalar is not np.generic:
                return scalar
    return None


def parse_frame(value: Any) -> Any:
    """A pandas.DataFrame, from JSON records, columns or what `to_json(orient="split")` writes.

    Text in it stays text: what looks like a date is one only for who asks for it.
    """
    import pandas as pd

    parsed = parse_json(value) if isinstance(value, str) else value
    if isinstance(parsed, pd.DataFrame):
        return parsed
    if isinstance(parsed, pd.Series):
        return parsed.to_frame()
    if callable(to_pandas := getattr(parsed, "to_pandas", None)):  # Arrow, Polars
        return parse_frame(to_pandas())
    if isinstance(parsed, Mapping):
        return _frame_of_mapping(parsed)
    if isinstance(parsed, (list, tuple)) and not all(isinstance(row, Mapping) for row in parsed):
        raise UnfitError("its items are no objects")
    if not isinstance(parsed, (list, tuple)) and getattr(parsed, "ndim", 0) != 2:
        raise TypeError(value)
    return pd.DataFrame(parsed)


def _frame_of_mapping(parsed: Mapping[str, Any]) -> Any:
    import pandas as pd

    if _SPLIT <= parsed.keys() <= _SPLIT | {"index"}:
        return pd.DataFrame(parsed["data"], columns=parsed["columns"], index=parsed.get("index"))
    if parsed.keys() == {"schema", "data"}:  # orient="table"
        return parse_frame(parsed["data"])
    columns = list(parsed.values())
    if columns and not any(
        isinstance(column, (Mapping, list, tuple)) or hasattr(column, "__len__") for column in columns
    ):
        return pd.DataFrame([parsed])  # one record
    return pd.DataFrame({name: _column(column) for name, column in parsed.items()})


def _column(column: Any) -> Any:
    """A column as `DataFrame.to_json()` writes it, by its index, which JSON made text of."""
    if not isinstance(column, Mapping):
        return column
    keys = [int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 19 else key for key in column]
    return dict(zip(keys, column.values(), strict=True))


def parse_series(value: Any) -> Any:
    """A pandas.Series, from a JSON array, or from an object whose keys become its index."""
    import pandas as pd

    parsed = parse_json(value) if isinstance(value, str) else value
    if isinstance(parsed, pd.Series):
        return parsed
    if not isinstance(parsed, (list, tuple, Mapping)) and getattr(parsed, "ndim", 0) != 1:
        raise TypeError(value)
    return pd.Series(_column(parsed) if isinstance(parsed, Mapping) else parsed)


TABLES: Coercers = {
    "numpy.ndarray": array_coercion,
    "pandas.DataFrame": Coercion(
        convert=parse_frame, expected="a table as JSON records or columns", example='[{"a": 1}]', is_scalar=False
    ),
    "pandas.Series": Coercion(
        convert=parse_series,
        loose=lambda text, _: parse_series(split_items(text, list)),
        expected="a JSON array",
        example="[1, 2]",
        is_scalar=False,
    ),
}
