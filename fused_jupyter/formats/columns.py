"""One column as a list of plain Python values; what is missing is None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fused_jupyter.formats.plain import dump

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS: Final = "bif"


def plain_values(column: pd.Series[Any]) -> list[Any]:
    """The column's values as JSON knows them, moments as ISO 8601 text; NaN stays, for JSON writes it as null."""
    dtype = column.dtype
    if str(dtype) == "category":
        return _plain_categories(column)
    if dtype.kind in _NUMBERS and hasattr(dtype, "itemsize") and not hasattr(dtype, "na_value"):
        return column.tolist()
    missing = column.isna().to_numpy()
    if dtype.kind in "mM":
        values = column.tolist()
        return [None if gone else value.isoformat() for value, gone in zip(values, missing, strict=True)]
    values = column.astype(object).tolist()
    return [None if gone else value for value, gone in zip(values, missing, strict=True)] if missing.any() else values


def text_values(column: pd.Series[Any]) -> list[str]:
    """The column's values as a reader sees them; missing ones as an empty text."""
    missing = column.isna().to_numpy()
    return ["" if gone else as_text(value) for value, gone in zip(plain_values(column), missing, strict=True)]


def as_text(value: Any) -> str:
    """One value as text: a string as it is, anything else as its JSON, without quotes where that is a string."""
    if isinstance(value, str):
        return value
    text = dump(value).decode()
    if not text.startswith('"'):
        return text
    import orjson

    return str(orjson.loads(text))


def _plain_categories(column: pd.Series[Any]) -> list[Any]:
    categories = plain_values(column.cat.categories.to_series())
    return [None if code < 0 else categories[code] for code in column.cat.codes.tolist()]
