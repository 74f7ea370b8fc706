"""Arguments as a URL carries them: the other way of `coercers`, and one table too."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any


def text_of(value: Any) -> str:
    """The text from which an annotation of the value's type gives it back.

    Raises:
        TypeError: nothing in the table knows such values.

    >>> text_of(True), text_of([1, "a"]), text_of(b"hi")
    ('true', '[1, "a"]', 'aGk=')
    """
    for kind in type(value).__mro__:
        if (text := _TEXTS.get(f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}")) is not None:
            return text(value)
    if hasattr(value, "__dataclass_fields__"):
        return _json(_fields(value))
    raise TypeError(f"a {type(value).__name__} has no text")


def plain(value: Any) -> Any:
    """The value as JSON has it; text where JSON has nothing like it.

    Raises:
        TypeError: it has no text.

    >>> plain({"a": (1, 2.5, None), "b": b"hi"})
    {'a': [1, 2.5, None], 'b': 'aGk='}
    """
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if hasattr(value, "__dataclass_fields__"):
        return plain(_fields(value))
    if type(value).__module__ == "numpy" and value.dtype.kind not in {"m", "M"}:
        return plain(value.tolist())
    is_json = value is None or isinstance(value, (str, bool, int, float))
    return value if is_json and _is_exact(value) else text_of(value)


def _is_exact(value: Any) -> bool:
    """Whether every reader of JSON gets the same number."""
    return (
        isfinite(value) and abs(value) < _WHOLE
        if type(value) in {int, float}
        else type(value) in {str, bool, type(None)}
    )


_WHOLE = 2**53
"""Beyond it JavaScript and orjson do not keep every digit."""


def _key(key: Any) -> str:
    return key if isinstance(key, str) else text_of(key)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _json(value: Any) -> str:
    """JSON as Python writes it: NaN and whole numbers of any size are kept."""
    return json.dumps(_keyed(value), default=_inner)


def _keyed(value: Any) -> Any:
    return {_key(key): each for key, each in value.items()} if isinstance(value, Mapping) else value


def _inner(value: Any) -> Any:
    """What `json` does not know, inside a list or a dict."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Mapping):
        return _keyed(value)
    if type(value).__module__ == "numpy":
        return value.tolist()
    text = text_of(value)
    return json.loads(text) if text.startswith(("{", "[")) and not isinstance(value, str) else text


def _frame(value: Any) -> str:
    return str(value.to_json(orient="records", date_format="iso", double_precision=15))


def _seconds(value: Any) -> str:
    seconds = value.total_seconds()
    return str(int(seconds) if seconds == int(seconds) else seconds)


_TEXTS: dict[str, Callable[[Any], str]] = {
    "builtins.str": str.__str__,
    "builtins.bool": lambda value: "true" if value else "false",
    "builtins.int": int.__repr__,
    "builtins.float": float.__repr__,
    "builtins.complex": str,
    "builtins.bytes": lambda value: base64.b64encode(value).decode(),
    "builtins.bytearray": lambda value: base64.b64encode(value).decode(),
    "builtins.list": _json,
    "builtins.tuple": _json,
    "builtins.dict": _json,
    "builtins.set": lambda value: _json(list(value)),
    "builtins.frozenset": lambda value: _json(list(value)),
    "collections.deque": lambda value: _json(list(value)),
    "builtins.range": lambda value: _json(list(value)),
    "datetime.datetime": lambda value: str(value.isoformat()),
    "datetime.date": lambda value: str(value.isoformat()),
    "datetime.time": lambda value: str(value.isoformat()),
    "datetime.timedelta": _seconds,
    "decimal.Decimal": str,
    "uuid.UUID": str,
    "pathlib.PurePath": str,
    "enum.Enum": lambda value: text_of(value.value),
    "pydantic.BaseModel": lambda value: str(value.model_dump_json()),
    "numpy.ndarray": lambda value: _json(value.tolist()),
    "numpy.datetime64": str,
    "numpy.generic": lambda value: text_of(value.item()),
    "geopandas.GeoDataFrame": lambda value: str(value.to_json()),
    "geopandas.GeoSeries": lambda value: str(value.to_json()),
    "pandas.DataFrame": _frame,
    "pandas.Series": lambda value: str(value.to_json(orient="values", date_format="iso", double_precision=15)),
    "shapely.BaseGeometry": lambda value: str(value.wkt),
    "mercantile.Tile": lambda value: f"{value.z}/{value.x}/{value.y}",
    "fused_jupyter.Tile": lambda value: f"{value.z}/{value.x}/{value.y}",
}
"""By package and name of a class, so that nothing heavy is imported."""
