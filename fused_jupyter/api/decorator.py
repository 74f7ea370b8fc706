"""The decorator that makes a UDF of a function."""

from __future__ import annotations

import functools
import inspect
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, overload

from fused_jupyter.api.headers import Header, header_modules
from fused_jupyter.api.udf import Udf
from fused_jupyter.api.variables import use_variables
from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.runtime import current
from fused_jupyter.udfs import Choices, UdfDefinition, names_to_use, parse


class _LocalUdf(Udf):
    """A UDF decorated inside a worker, where its code is running already: what it is called with runs here."""

    def __init__(self, function: Callable[..., Any], said: Mapping[str, Any]) -> None:
        # Not parsed unless somebody asks: a UDF's own decorator runs with every call of it.
        functools.update_wrapper(self, function)
        self._said = said

    @functools.cached_property
    def _definition(self) -> UdfDefinition:  # type: ignore[override]  # the base class keeps the value, this one makes it
        return _definition_of(self.__wrapped__, self._said)


@overload
def udf(function: Callable[..., Any], /) -> Udf: ...
@overload
def udf(
    *,
    name: str | None = None,
    cache_max_age: str | int | None = None,
    default_parameters: Mapping[str, Any] | None = None,
    headers: Sequence[Header] | None = None,
    use: str | Sequence[str] | None = None,
    engine: str | None = None,
    instance_type: str | None = None,
    disk_size_gb: int | None = None,
    region: str | None = None,
) -> Callable[[Callable[..., Any]], Udf]: ...
def udf(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    cache_max_age: str | int | None = None,
    default_parameters: Mapping[str, Any] | None = None,
    headers: Sequence[Header] | None = None,
    use: str | Sequence[str] | None = None,
    engine: str | None = None,
    instance_type: str | None = None,
    disk_size_gb: int | None = None,
    region: str | None = None,
) -> Udf | Callable[[Callable[..., Any]], Udf]:
    """Make a function a UDF and register it under its name.

    The function is taken as text and runs elsewhere: it sees its own source, its header modules, `fused` and the
    variables that it may `use`, nothing else of the notebook. With `%%fused_udf` the whole cell belongs to it.

    Args:
        function: the function; without it, `udf(...)` gives the decorator.
        name: what it is called in URLs; the function's own name by default.
        cache_max_age: how long a result answers for itself: seconds, or `10s`, `5m`, `48h`, `7d`; 0 keeps nothing.
        default_parameters: by parameter, the value where a call gives none; it wins over the one in the signature.
        headers: modules that travel with it: paths of Python files, or `{"module_name": ..., "source_code": ...}`.
        use: names of the notebook's variables that travel with it, as they are now.
        engine: `kernel` runs it in the notebook's kernel, where it sees all variables; every other name means a worker
            of this machine, as those below mean something in Fused's cloud only.
        instance_type: see `engine`.
        disk_size_gb: see `engine`.
        region: see `engine`.

    Raises:
        UdfDefinitionError: the function cannot be a UDF, or its source is not to be found.

    >>> @udf
    ... def area(width: float, height: float = 1.0):
    ...     return width * height
    >>> area.signature
    'area(width: float, height: float = 1.0)'
    >>> rates = {"a": 2}
    >>> @udf(use="rates")
    ... def cost(n: int):
    ...     return n * rates["a"]
    >>> cost(n=3)
    6
    """
    placement = {"engine": engine, "instance_type": instance_type, "disk_size_gb": disk_size_gb, "region": region}
    said = {
        "name": name,
        "cache_max_age": cache_max_age,
        "default_parameters": default_parameters,
        "headers": headers or (),
        "use": use,
        "placement": {name: value for name, value in placement.items() if value is not None},
        # Else its text is read: in a worker the one above the UDF itself comes without its arguments.
        "is_decorated": function is None,
    }

    def decorate(function: Callable[..., Any]) -> Udf:
        from fused_jupyter.engines.headers import only_looking
        from fused_jupyter.runtime import WorkerRuntime

        if isinstance(current(), WorkerRuntime) or only_looking.get():
            return _LocalUdf(function, said)
        definition = _definition_of(function, said)
        current().register(definition)
        return Udf(definition)

    return decorate if function is None else decorate(function)


def unregistered(function: Callable[..., Any]) -> Udf:
    """A UDF of a plain function, which answers for no name.

    Raises:
        UdfDefinitionError: the function cannot be a UDF.
    """
    return Udf(_definition_of(function, {"name": None, "headers": (), "use": None, "is_decorated": False}))


def _definition_of(function: Callable[..., Any], said: Mapping[str, Any]) -> UdfDefinition:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as exc:
        raise UdfDefinitionError(
            f"the source of {getattr(function, '__name__', function)!r} is not to be found; a UDF is a function "
            "written in a notebook cell or a file"
        ) from exc
    rest = {name: value for name, value in said.items() if name != "use"}
    choices = Choices(
        **{**rest, "headers": header_modules(said["headers"])},
        directory=os.getcwd(),  # noqa: PTH109 - a string is what travels
    )
    return use_variables(parse(source, choices), names_to_use(said["use"]), inspect.unwrap(function).__globals__)
