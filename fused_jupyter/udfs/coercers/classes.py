"""Choices and records: `Literal`, enums, dataclasses, named tuples, typed dicts, pydantic models."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

from fused_jupyter.udfs.coercers.containers import parse_dict
from fused_jupyter.udfs.coercers.entry import MISFITS, Coercer, Coercers, Coercion, ExampleOf, Fit, UnfitError
from fused_jupyter.udfs.coercers.scalars import parse_bool, parse_bytes, parse_float, parse_int

_NOTHING = frozenset({"", "none", "null"})


def parse_none(value: Any) -> None:
    """None, from the texts that mean it."""
    if not isinstance(value, str) or value.strip().lower() not in _NOTHING:
        raise ValueError(value)


_BY_TYPE: dict[type, Coercer] = {
    bool: parse_bool,
    int: parse_int,
    float: parse_float,
    bytes: parse_bytes,
    type(None): parse_none,
}
"""How the text of a choice is read; those of other types must be equal as they are."""


def literal_coercion(annotation: Any) -> Coercion:
    """One of the values between the brackets."""
    choices = typing.get_args(annotation)

    def convert(value: Any) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        for choice in choices:
            if _means(value, choice):
                return choice
        raise ValueError(value)

    return _choice(convert, {str(choice): choice for choice in choices})


def enum_coercion(kind: Any) -> Coercion:
    """A member of an enum, by its value, else by its name."""

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return kind(value)
        except MISFITS:
            pass
        for member in kind:
            if _means(value, member.value):
                return member
        return kind[value]

    return _choice(convert, {_shown(member): member.value for member in kind})


def _means(value: Any, choice: Any) -> bool:
    """Whether a value is the text, or another form, of a choice."""
    if isinstance(choice, Enum):
        return bool(value == choice.name or _means(value, choice.value))
    try:
        parse = _BY_TYPE.get(type(choice))
        return bool(value == choice if parse is None else parse(value) == choice)
    except MISFITS:
        return False


def _choice(convert: Coercer, choices: Mapping[str, Any]) -> Coercion:
    names = list(choices)
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    first = next(iter(choices.values()), None)
    example = first if isinstance(first, (str, int, float, bool)) else names[0] if names else ""
    return Coercion(
        convert=convert,
        expected=f"one of {shown}" if len(names) != 1 else shown,
        exemplify=lambda _, __: example,
    )


def _shown(member: Any) -> str:
    return str(member.value) if isinstance(member.value, (str, int, float)) else str(member.name)


def dataclass_coercion(kind: Any) -> Coercion:
    """An instance, from a JSON object with its fields."""
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    needed = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return _record(kind, names=list(fields), needed=needed, build=lambda values: kind(**values))


def named_tuple_coercion(kind: Any) -> Coercion:
    """An instance, from a JSON object with its fields or from an array of them."""
    defaults = getattr(kind, "_field_defaults", {})
    needed = [name for name in kind._fields if name not in defaults]
    record = _record(kind, names=list(kind._fields), needed=needed, build=lambda values: kind(**values))

    def convert(value: Any) -> Any:
        parsed = json.loads(value) if isinstance(value, str) else value
        if isinstance(parsed, (list, tuple)):
            return dict(zip(kind._fields, kind(*parsed), strict=True))
        return record.convert(parsed)

    return dataclasses.replace(record, convert=convert)


def typed_dict_coercion(kind: Any) -> Coercion:
    """A dict, from a JSON object with its keys."""
    hints = typing.get_type_hints(kind, include_extras=True)
    marks = {name: typing.get_origin(hint) for name, hint in hints.items()}
    # The class does not see a mark in quotes.
    needed = [
        name
        for name, mark in marks.items()
        if mark is typing.Required or (name in kind.__required_keys__ and mark is not typing.NotRequired)
    ]
    return _record(kind, names=[*hints], needed=needed, build=dict)


def model_coercion(kind: Any) -> Coercion:
    """A pydantic model, by its own rules."""

    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return kind.model_validate(parse_dict(value))
        except ValueError as exc:
            errors = getattr(exc, "errors", None)
            raise UnfitError("; ".join(_model_error(error) for error in errors()) if errors else str(exc)) from exc

    def exemplify(_: Any, example_of: ExampleOf) -> Any:
        needed = {name: field for name, field in kind.model_fields.items() if field.is_required()}
        return {field.alias or name: example_of(field.annotation) for name, field in needed.items()}

    return Coercion(
        convert=convert,
        exemplify=exemplify if hasattr(kind, "model_fields") else None,
        expected=f"a JSON object that fits {kind.__name__}",
        is_scalar=False,
    )


def _model_error(error: Mapping[str, Any]) -> str:
    place = ".".join(str(step) for step in error["loc"])
    return f"{place}: {error['msg']}" if place else str(error["msg"])


def _record(kind: Any, *, names: list[str], needed: list[str], build: Callable[[dict[str, Any]], Any]) -> Coercion:
    def convert(value: Any) -> Any:
        return value if _is_one(value, kind) else parse_dict(value)

    def complete(whole: Any, _: Any, fit: Fit) -> Any:
        if _is_one(whole, kind):
            return whole
        if unknown := [name for name in whole if name not in names]:
            raise UnfitError(f"{kind.__name__} has no {', '.join(map(str, unknown[:5]))}, it has {', '.join(names)}")
        if missing := [name for name in needed if name not in whole]:
            raise UnfitError(f"{', '.join(missing)} is missing")
        hints = typing.get_type_hints(kind)
        return build({name: fit(each, hints.get(name, Any), f".{name}") for name, each in whole.items()})

    def exemplify(_: Any, example_of: ExampleOf) -> Any:
        hints = typing.get_type_hints(kind)
        return {name: example_of(hints.get(name, Any)) for name in needed or names[:1]}

    return Coercion(convert=convert, complete=complete, exemplify=exemplify, expected="a JSON object", is_scalar=False)


def _is_one(value: Any, kind: Any) -> bool:
    return not typing.is_typeddict(kind) and isinstance(value, kind)


CLASSES: Coercers = {
    Literal: literal_coercion,
    "enum.Enum": enum_coercion,
    ".model_validate": model_coercion,
    ".__dataclass_fields__": dataclass_coercion,
    "._fields": named_tuple_coercion,
    ".__required_keys__": typed_dict_coercion,
}
