"""Results of many runs as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def collected(results: Sequence[Any], arguments: Sequence[Mapping[str, Any]], *, is_flat: bool) -> pd.DataFrame:
    """One table of results.

    Args:
        results: what the runs returned.
        arguments: of each, what the index says of it.
        is_flat: whether tables are put below each other.

    Returns:
        Where all results are tables, or None, and `is_flat`: their rows, with the arguments as the first levels of the
        index. Else one row for each run, with its result in the column `result`.

    >>> collected([pd.DataFrame({"a": [1, 2]}), None], [{"n": 5}, {"n": 6}], is_flat=True).reset_index("n")
       n  a
    0  5  1
    1  5  2
    """
    names = list(dict.fromkeys(name for each in arguments for name in each))
    frames = [(value, given) for value, given in zip(results, arguments, strict=True) if value is not None]
    if is_flat and frames and all(isinstance(value, pd.DataFrame) for value, _ in frames):
        table: pd.DataFrame = pd.concat([value.set_axis(_levels(value.index, given, names)) for value, given in frames])
        return table
    arrays = [_column([each.get(name) for each in arguments]) for name in names]
    index = pd.Index(arrays[0], name=names[0]) if len(names) == 1 else pd.MultiIndex.from_arrays(arrays, names=names)
    return pd.DataFrame({"result": _each(results).set_axis(index)})


def _levels(index: pd.Index[Any], arguments: Mapping[str, Any], names: Sequence[str]) -> pd.MultiIndex:
    own = [index.get_level_values(level) for level in range(index.nlevels)]
    given = [_column([arguments.get(name)] * len(index)) for name in names]
    return pd.MultiIndex.from_arrays([*given, *own], names=[*names, *index.names])


def _column(values: Sequence[Any]) -> pd.Series[Any]:
    """Values as an index holds them: lists as tuples, and as text what has no hash."""
    return _each([_hashable(value) for value in values])


def _each(values: Sequence[Any]) -> pd.Series[Any]:
    """A column of these, where numpy would make an array of more dimensions of lists."""
    array = np.empty(len(values), dtype=object)
    for position, value in enumerate(values):
        array[position] = value
    return pd.Series(array).infer_objects()


def _hashable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
