"""From text (HTTP) or a Python object to what a parameter's annotation asks for. The table is in `coercers`."""

from __future__ import annotations

import inspect
import json
import reprlib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.udfs.coercers import COERCERS, MISFITS, Coercers, Coercion, UnfitError


def coerce(value: Any, annotation: Any, *, parameter: str, coercers: Coercers = COERCERS) -> Any:
    """The value as the annotation asks for; None always passes, and so does any value where there is no annotation.

    Raises:
        ArgumentError: the value does not fit; says which parameter, what came, what was expected and an example.

    >>> coerce("[1, 2]", list[float], parameter="ratio")
    [1.0, 2.0]
    """
    if value is None or annotation is inspect.Parameter.empty:
        return value
    if type(annotation) is type and isinstance(entry := coercers.get(annotation), Coercion) and not entry.complete:
        # Most arguments end here: each call of a UDF passes this way.
        try:
            return entry.convert(value)
        except MISFITS:
            pass  # what follows says what is wrong
    fitting = _Fitting(coercers)
    try:
        return fitting.fit(value, annotation)
    except _Misfit as exc:
        place = exc.path if len(exc.path) <= 80 else f"{exc.path[:77]}…"
        raise ArgumentError(f"{parameter}{place}: {fitting.message(exc)}", parameter=parameter) from exc
    except RecursionError as exc:
        raise ArgumentError(f"{parameter}: got {shown(value)}, nested too deeply", parameter=parameter) from exc


def shown(value: Any) -> str:
    """The value as an error shows it: one line, not long."""
    try:
        text = repr(value[:80]) if isinstance(value, (str, bytes)) else _shorten(value)
    except Exception:  # noqa: BLE001 - __repr__ may be the user's code, and Python refuses to print long numbers
        text = ""
    text = " ".join(text.split()) or f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"


def _shorten(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__} of shape {shape}" if shape else reprlib.repr(value)


class _Misfit(Exception):  # noqa: N818 - never leaves this module
    """A value that does not fit, and where in the argument it stands. The words are made when they are needed."""

    def __init__(self, value: Any, takers: Sequence[_Taker], cause: BaseException | None = None) -> None:
        super().__init__()
        self.value = value
        self.takers = takers
        self.cause = cause
        self.path = ""


_Taker = tuple[Any, Coercion]
"""One choice of an annotation, and how it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choices:
    """What an annotation leaves to choose."""

    takers: tuple[_Taker, ...]
    takes_none: bool
    takes_all: bool
    """Whether one of the choices says nothing to us, such as Any."""


class _Fitting:
    """One look at a value; what is inside it is fitted in the same way."""

    def __init__(self, coercers: Coercers) -> None:
        self._coercers = coercers
        self._choices: dict[Any, _Choices] = {}
        """Of long lists, each item has the same."""

    def fit(self, value: Any, annotation: Any) -> Any:
        """The value as the first choice that takes it; as it is where the annotation says nothing to us."""
        choices = self._choices_of(annotation)
        if value is None and choices.takes_none:
            return None
        takers = choices.takers
        if len(takers) > 1 and not isinstance(value, str):
            # An object of one of the types stays what it is.
            takers = tuple(sorted(takers, key=lambda taker: _distance(value, taker[0])))
        misfits: list[_Misfit] = []
        for choice, coercion in takers:
            try:
                return self._convert(value, choice, coercion)
            except _Misfit as exc:
                misfits.append(exc)
        if choices.takes_all:
            return value
        return self._fit_loosely(value, choices, misfits)

    def _fit_loosely(self, value: Any, choices: _Choices, misfits: list[_Misfit]) -> Any:
        """`null`, and `1,2` as a list: where nothing else takes the text, and only of what has no commas itself."""
        if isinstance(value, str):
            if choices.takes_none and value.strip().lower() in {"null", "none"}:
                return None
            for choice, coercion in choices.takers:
                try:
                    return self._convert_loosely(value, choice, coercion)
                except _Misfit as exc:
                    misfits.append(exc)
        inside = next((misfit for misfit in misfits if misfit.path), None)
        raise inside or (misfits[0] if len(choices.takers) == 1 else _Misfit(value, choices.takers))

    def _convert(self, value: Any, choice: Any, coercion: Coercion) -> Any:
        try:
            whole = coercion.convert(value)
            return whole if coercion.complete is None else coercion.complete(whole, choice, self._inside)
        except MISFITS as exc:
            raise _Misfit(value, [(choice, coercion)], exc) from exc

    def _convert_loosely(self, text: str, choice: Any, coercion: Coercion) -> Any:
        try:
            if coercion.loose is None or not all(self._is_scalar(item) for item in typing.get_args(choice)):
                raise ValueError(text)
            whole = coercion.loose(text, choice)
            return whole if coercion.complete is None else coercion.complete(whole, choice, self._inside)
        except MISFITS as exc:
            raise _Misfit(text, [(choice, coercion)], exc) from exc

    def _inside(self, value: Any, annotation: Any, step: str) -> Any:
        try:
            return self.fit(value, annotation)
        except _Misfit as exc:
            exc.path = step + exc.path
            raise

    def _choices_of(self, annotation: Any) -> _Choices:
        try:
            if (known := self._choices.get(annotation)) is not None:
                return known
        except TypeError:  # an unhashable annotation
            return self._looked_up(annotation)
        return self._choices.setdefault(annotation, self._looked_up(annotation))

    def _looked_up(self, annotation: Any) -> _Choices:
        members = list(_choices(annotation))
        kinds = [member for member in members if member is not types.NoneType]
        takers = tuple((kind, coercion) for kind in kinds if (coercion := self._coercion(kind)) is not None)
        return _Choices(
            takers=takers, takes_none=len(kinds) < len(members), takes_all=not takers or len(takers) < len(kinds)
        )

    def _coercion(self, choice: Any) -> Coercion | None:
        kind = typing.get_origin(choice) or choice
        try:
            entry = self._coercers.get(kind)
        except TypeError:  # an unhashable annotation
            return None
        if entry is None and isinstance(kind, type):
            entry = next((self._coercers[key] for key in _keys(kind) if key in self._coercers), None)
            entry = entry or next((self._coercers[key] for key in self._attributes() if hasattr(kind, key[1:])), None)
        return entry if entry is None or isinstance(entry, Coercion) else entry(choice)

    def _attributes(self) -> Iterator[str]:
        return (key for key in self._coercers if isinstance(key, str) and key.startswith("."))

    def _is_scalar(self, annotation: Any) -> bool:
        return all(coercion.is_scalar for _, coercion in self._choices_of(annotation).takers)

    def message(self, misfit: _Misfit) -> str:
        """What came, what was wanted."""
        if isinstance(misfit.cause, ArgumentError):  # says all of it already
            return misfit.cause.message
        wanted = " or ".join(dict.fromkeys(self._wanted(choice, coercion) for choice, coercion in misfit.takers))
        why = f" ({misfit.cause})" if isinstance(misfit.cause, UnfitError) else ""
        return f"got {shown(misfit.value)}, need {wanted}{why}"

    def _wanted(self, choice: Any, coercion: Coercion) -> str:
        try:
            example = self.example_text(choice)
        except (*MISFITS, RecursionError):  # a class that needs one of itself
            example = ""
        return f"{coercion.expected}, e.g. {example}" if example not in coercion.expected else coercion.expected

    def example_text(self, annotation: Any) -> str:
        """A text that fits."""
        example = self._example(annotation)
        return example if isinstance(example, str) else json.dumps(example)

    def _example(self, annotation: Any) -> Any:
        """A value that fits, as JSON has it."""
        takers = self._choices_of(annotation).takers
        if not takers:
            return 1
        choice, coercion = takers[0]
        if coercion.exemplify is not None:
            return coercion.exemplify(choice, self._example)
        try:
            return json.loads(coercion.example)
        except ValueError:
            return coercion.example


def _choices(annotation: Any) -> Iterator[Any]:
    """The members of a union; of anything else, itself. What only names or marks a type is that type."""
    kind = typing.get_origin(annotation)
    if kind in _UNIONS:
        for choice in typing.get_args(annotation):
            yield from _choices(choice)
    elif kind in _MARKS:
        yield from _choices(typing.get_args(annotation)[0])
    elif isinstance(annotation, typing.TypeVar):
        bounds = annotation.__constraints__ or (annotation.__bound__ or Any,)
        for bound in bounds:
            yield from _choices(bound)
    elif (named := _named(annotation)) is not None:
        yield from _choices(named)
    else:
        yield types.NoneType if annotation is None else annotation


def _named(annotation: Any) -> Any:
    """What a `NewType`, a `type` statement or an `InitVar` stands for; None for anything else."""
    kind = type(annotation)
    return next((getattr(annotation, name) for other, name in _NAMES.items() if kind.__name__ == other), None)


_UNIONS = frozenset({typing.Union, types.UnionType})
_MARKS = frozenset({typing.Annotated, typing.ClassVar, typing.Final, typing.Required, typing.NotRequired})
_NAMES = {"NewType": "__supertype__", "TypeAliasType": "__value__", "InitVar": "type"}


def _keys(kind: type) -> Iterator[str]:
    """The texts under which the table may have a class: package and name of it, then of those above it."""
    return (f"{base.__module__.partition('.')[0]}.{base.__qualname__}" for base in kind.__mro__)


def _distance(value: Any, choice: Any) -> int:
    """How far the type of a value is from a choice: 0 the same, 1 below it, 2 another one."""
    kind = typing.get_origin(choice) or choice
    if kind is typing.Literal:
        return 0 if value in typing.get_args(choice) else 2
    try:
        return 0 if type(value) is kind else 1 if isinstance(value, kind) else 2
    except TypeError:  # a class that cannot be asked
        return 2
