"""Lists, tuples, sets and dicts, with what is in them."""

from __future__ import annotations

import json
import typing
from collections import OrderedDict, abc, deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from fused_jupyter.udfs.coercers.entry import Coercers, Coercion, ExampleOf, Fit, UnfitError


def parse_json(text: str) -> Any:
    """What a JSON text means, by Python's own reader: whole numbers of any size, and NaN as `json.dumps` writes it."""
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise UnfitError("it is nested too deeply") from exc


def parse_list(value: Any) -> list[Any]:
    """A list, from a JSON array or from what has items."""
    if isinstance(value, str):
        value = parse_json(value)
    elif callable(to_list := getattr(value, "tolist", None)):  # arrays and columns
        value = to_list()
    # Not a table: its items are the names of its columns.
    if isinstance(value, _NO_LIST) or not isinstance(value, Iterable) or hasattr(value, "columns"):
        raise TypeError(value)
    return list(value)


def parse_dict(value: Any) -> dict[Any, Any]:
    """A dict, from a JSON object or a mapping."""
    parsed = parse_json(value) if isinstance(value, str) else value
    if not isinstance(parsed, Mapping):
        raise TypeError(value)
    return dict(parsed)


def split_text(text: str) -> list[str]:
    """The parts of a text between its commas; none in an empty one.

    Raises:
        ValueError: it begins like JSON.

    >>> split_text("a, b"), split_text("")
    (['a', 'b'], [])
    """
    stripped = text.strip()
    if stripped.startswith(("[", "{")):
        raise ValueError(text)
    return [part.strip() for part in stripped.split(",")] if stripped else []


def split_items(text: str, annotation: Any) -> list[Any]:
    """The same as items of a list: numbers and the like where nothing is said of them and all are JSON."""
    parts = split_text(text)
    if not typing.get_args(annotation):
        try:
            return list(parse_json(f"[{','.join(parts)}]"))
        except ValueError:
            pass
    return parts


def _fill(build: Callable[[list[Any]], Any], whole: list[Any], annotation: Any, fit: Fit) -> Any:
    arguments = typing.get_args(annotation)
    if not arguments:
        return build(whole)
    return build([fit(each, arguments[0], f"[{i}]") for i, each in enumerate(whole)])


def _fill_tuple(whole: list[Any], annotation: Any, fit: Fit) -> tuple[Any, ...]:
    if annotation in {tuple, typing.Tuple}:  # noqa: UP006 - as users write it
        return tuple(whole)
    places = typing.get_args(annotation)
    if len(places) == 2 and places[1] is Ellipsis:
        places = places[:1] * len(whole)
    if len(whole) != len(places):
        raise UnfitError(f"it has {len(whole)} items, not {len(places)}")
    return tuple(fit(each, place, f"[{i}]") for i, (each, place) in enumerate(zip(whole, places, strict=True)))


def _fill_dict(build: Callable[[Any], Any], whole: dict[Any, Any], annotation: Any, fit: Fit) -> Any:
    arguments = typing.get_args(annotation)
    if len(arguments) != 2:
        return build(whole)
    key, item = arguments
    return build({fit(k, key, f", key {k!r}"): fit(each, item, f"[{k!r}]") for k, each in whole.items()})


def _example_list(annotation: Any, example_of: ExampleOf) -> list[Any]:
    arguments = typing.get_args(annotation)
    return [example_of(arguments[0])] if arguments else [1, 2]


def _example_tuple(annotation: Any, example_of: ExampleOf) -> list[Any]:
    places = [place for place in typing.get_args(annotation) if place is not Ellipsis]
    return [example_of(place) for place in places] or [1, 2]


def _example_dict(annotation: Any, example_of: ExampleOf) -> dict[str, Any]:
    arguments = typing.get_args(annotation)
    return {str(example_of(arguments[0])): example_of(arguments[1])} if len(arguments) == 2 else {"a": 1}


def _list(build: Callable[[list[Any]], Any]) -> Coercion:
    return Coercion(
        convert=parse_list,
        complete=partial(_fill, build),
        loose=split_items,
        exemplify=_example_list,
        expected="a JSON array",
        is_scalar=False,
    )


def _dict(build: Callable[[Any], Any]) -> Coercion:
    return Coercion(
        convert=parse_dict,
        complete=partial(_fill_dict, build),
        exemplify=_example_dict,
        expected="a JSON object",
        is_scalar=False,
    )


_NO_LIST = (Mapping, str, bytes, bytearray, memoryview)

_LISTS: dict[type, Callable[[list[Any]], Any]] = {
    list: list,
    abc.Iterable: list,
    abc.Collection: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    deque: deque,
    set: set,
    abc.Set: set,
    abc.MutableSet: set,
    frozenset: frozenset,
}
_DICTS: dict[type, Callable[[Any], Any]] = {
    dict: dict,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
    OrderedDict: OrderedDict,
}

CONTAINERS: Coercers = {
    **{kind: _list(build) for kind, build in _LISTS.items()},
    **{kind: _dict(build) for kind, build in _DICTS.items()},
    tuple: Coercion(
        convert=parse_list,
        complete=_fill_tuple,
        loose=split_items,
        exemplify=_example_tuple,
        expected="a JSON array",
        is_scalar=False,
    ),
}
