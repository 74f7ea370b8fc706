"""The ids of features, by which a map tells that two tiles show parts of the same one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from fused_jupyter.formats.mvt.protobuf import NO_ID, Ints

_LARGEST: Final = (1 << 53) - 1
"""Browsers read ids as doubles."""


def feature_ids(frame: pd.DataFrame, value: Any) -> Ints | None:
    """The id of each row, `NO_ID` where it has none; None if no row has any.

    Ids are the column ``id``, which stays an attribute too, else the index of the table as the UDF returned it: if it
    is of integers from 0 to 2**53 - 1 without repeats. An index that counts the rows from 0 numbers what happened to be
    read, not the features, and would give those of two tiles the same ids. Rows whose ``id`` is missing have none.
    """
    if "id" in frame.columns and (ids := _usable(frame["id"])) is not None:
        return ids
    index = value.index if isinstance(value, pd.DataFrame | pd.Series) else None
    if index is None or isinstance(index, pd.RangeIndex) or index.nlevels > 1 or index.dtype.kind not in "iu":
        return None
    ids = _usable(index.to_series())
    return None if ids is None or np.array_equal(ids, np.arange(len(ids))) else ids


def _usable(column: pd.Series[Any]) -> Ints | None:
    if column.dtype.kind not in "iu":
        return None
    is_there = column.notna().to_numpy()
    present = column.to_numpy() if is_there.all() else column[is_there].to_numpy()
    present = present.astype(np.uint64 if column.dtype.kind == "u" else np.int64)
    if not len(present) or present.min() < 0 or present.max() > _LARGEST:
        return None
    if not (np.diff(present.astype(np.int64)) > 0).all() and not pd.Index(present).is_unique:
        return None
    ids = np.full(len(column), NO_ID)
    ids[is_there] = present
    return ids
