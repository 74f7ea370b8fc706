"""The UDF in the user's hand, and the decorator that makes one."""

from __future__ import annotations

import functools
import inspect
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import quote, urlencode

from fused_jupyter.api.card import card
from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.udfs import Choices, HeaderModule, Parameter, UdfDefinition, parse

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

    from fused_jupyter.widgets import FusedMap


class Udf:
    """A UDF: call it, put it on a map, give its address to others.

    It holds one frozen version of the code. Running its cell again makes a new one, which from then on answers for the
    name; this object keeps giving what it gave before.

    >>> @udf
    ... def double(n: int = 2):
    ...     return 2 * n
    >>> double.signature
    'double(n: int = 2)'
    """

    def __init__(self, definition: UdfDefinition) -> None:
        self._definition = definition

    # -- what it is

    @property
    def definition(self) -> UdfDefinition:
        """The frozen value behind this object."""
        return self._definition

    @property
    def name(self) -> str:
        """What it is called in URLs."""
        return self._definition.name

    @property
    def code(self) -> str:
        """Its source text."""
        return self._definition.source

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters in order."""
        return self._definition.parameters

    @property
    def signature(self) -> str:
        """Name and parameters as one line."""
        return self._definition.signature

    @property
    def digest(self) -> str:
        """SHA-256 of the code with its header modules: the version."""
        return self._definition.digest

    # -- running it

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it and give what it returns, as `fused.run` does; positional arguments go by the order of parameters."""
        from fused_jupyter.api.run import run

        return run(self, **self._by_name(args, kwargs))

    # -- showing it

    def map(self, **parameters: Any) -> FusedMap:
        """A live map of its tiles.

        Args:
            **parameters: arguments of the UDF; the map's `params` trait changes them later. What is no parameter of the
                UDF goes to `FusedMap`: `center`, `zoom`, `bounds`, `basemap`, `height`, `controls`.

        Returns:
            A widget that follows the UDF: running its cell again redraws it.
        """
        from fused_jupyter.widgets import FusedMap

        arguments, rest = self._split(parameters)
        return FusedMap(self, params=arguments, **rest)

    def to_lonboard(self, **parameters: Any) -> BitmapTileLayer:
        """A lonboard `BitmapTileLayer` of its raster tiles, kept fresh when its cell is run again.

        lonboard can send no credentials, so the layer gets a token in its URL: it opens this UDF only and dies with the
        kernel. lonboard itself needs the internet to start. A notebook saved with its widgets holds the dead token.

        Args:
            **parameters: arguments of the UDF; what is none goes to `BitmapTileLayer`.

        Raises:
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        from fused_jupyter.widgets import bitmap_tile_layer

        arguments, rest = self._split(parameters)
        runtime = current_kernel()
        base_url = runtime.server().base_url
        token = runtime.grant(self.name)

        def url() -> str:
            version = runtime.registry.get(self.name).digest
            query = urlencode({**_as_text(arguments), "v": version})
            return f"{base_url}fused/{token}/run/tiles/{{z}}/{{x}}/{{y}}.png?{query}"

        return bitmap_tile_layer(self.name, url=url, **rest)

    # -- its addresses

    def file_url(self, format: str | None = None, **parameters: Any) -> str:  # noqa: A002 - the name in the reference
        """Its address as a file, pinned to this kernel.

        Args:
            format: `csv`, `geojson`, `parquet`, `png` and so on; None leaves it to the value.
            **parameters: arguments of the UDF.

        Raises:
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        extension = f".{format}" if format else ""
        return self._url(f"fused/run/file/{quote(self.name)}{extension}", parameters)

    def tile_url(self, format: str | None = None, **parameters: Any) -> str:  # noqa: A002 - the name in the reference
        """Its address as tiles, with `{z}`, `{x}` and `{y}` to fill in, pinned to this kernel.

        Args:
            format: `png` or `mvt`; None leaves it to the value.
            **parameters: arguments of the UDF.

        Raises:
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        extension = f".{format}" if format else ""
        return self._url(f"fused/run/tiles/{quote(self.name)}/{{z}}/{{x}}/{{y}}{extension}", parameters)

    def __repr__(self) -> str:
        return f"<Udf {self.signature}>"

    def _repr_html_(self) -> str:
        return card(self.definition)

    def _url(self, path: str, parameters: Mapping[str, Any]) -> str:
        runtime = current_kernel()
        query = urlencode({"kernel": runtime.kernel_id, **_as_text(parameters)})
        return f"{runtime.server().url(path)}?{query}"

    def _split(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The UDF's own arguments, and the rest. The tile fills in the spatial one: as `bounds` it is for the map."""
        own = {parameter.name for parameter in self.parameters if not parameter.is_spatial}
        return {n: v for n, v in given.items() if n in own}, {n: v for n, v in given.items() if n not in own}

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = [parameter.name for parameter in self.parameters if parameter.kind == "positional"]
        if len(args) > len(names):
            raise ArgumentError(
                f"{self.name} takes {len(names)} positional arguments, {len(args)} were given: {self.signature}"
            )
        positional = dict(zip(names, args, strict=False))
        if doubled := positional.keys() & kwargs.keys():
            raise ArgumentError(f"{self.name} got {', '.join(sorted(doubled))} twice, by position and by name")
        return {**positional, **kwargs}


class _LocalUdf(Udf):
    """A UDF decorated inside a worker, where its code is running already: what it is called with runs here."""

    def __init__(self, function: Callable[..., Any]) -> None:
        # Not parsed unless somebody asks: a UDF's own decorator runs with every call of it.
        functools.update_wrapper(self, function)

    @functools.cached_property
    def _definition(self) -> UdfDefinition:  # type: ignore[override]  # the base class keeps the value, this one makes it
        return _definition_of(self.__wrapped__, {})  # type: ignore[attr-defined]  # set by update_wrapper


@overload
def udf(function: Callable[..., Any], /) -> Udf: ...
@overload
def udf(
    *,
    name: str | None = None,
    cache_max_age: str | int | None = None,
    headers: Sequence[str | Mapping[str, str]] = (),
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
    headers: Sequence[str | Mapping[str, str]] = (),
    engine: str | None = None,  # noqa: ARG001 - see below
    instance_type: str | None = None,  # noqa: ARG001
    disk_size_gb: int | None = None,  # noqa: ARG001
    region: str | None = None,  # noqa: ARG001
) -> Udf | Callable[[Callable[..., Any]], Udf]:
    """Make a function a UDF and register it under its name.

    The function is taken as text and runs elsewhere: it sees its own source, its header modules and `fused`, nothing
    else of the notebook. With `%%fused_udf` the whole cell belongs to it.

    Args:
        function: the function; without it, `udf(...)` gives the decorator.
        name: what it is called in URLs; the function's own name by default.
        cache_max_age: how long a result answers for itself: seconds, or `10s`, `5m`, `48h`, `7d`; 0 keeps nothing.
        headers: modules that travel with it: paths of Python files, or `{"module_name": ..., "source_code": ...}`.
        engine: where Fused's cloud would run it, like the three below; here it runs in a worker of this machine.
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
    """
    said = {"name": name, "cache_max_age": cache_max_age, "headers": headers}

    def decorate(function: Callable[..., Any]) -> Udf:
        from fused_jupyter.runtime import WorkerRuntime

        if isinstance(current(), WorkerRuntime):
            return _LocalUdf(function)
        definition = _definition_of(function, said)
        current().register(definition)
        return Udf(definition)

    return decorate if function is None else decorate(function)


def header_modules(headers: Sequence[str | Mapping[str, str]]) -> tuple[HeaderModule, ...]:
    """Header modules from paths of Python files or from their text.

    Raises:
        UdfDefinitionError: a file is not there.
    """
    modules = []
    for header in headers:
        if isinstance(header, Mapping):
            modules.append(HeaderModule(module_name=header["module_name"], source=header["source_code"]))
            continue
        path = Path(header)
        try:
            modules.append(HeaderModule(module_name=path.stem, source=path.read_text(encoding="utf-8")))
        except OSError as exc:
            raise UdfDefinitionError(
                f"header {header!r}: {exc.strerror or exc}; give the path from {Path.cwd()}"
            ) from exc
    return tuple(modules)


def _definition_of(function: Callable[..., Any], said: Mapping[str, Any]) -> UdfDefinition:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as exc:
        raise UdfDefinitionError(
            f"the source of {getattr(function, '__name__', function)!r} is not to be found; a UDF is a function "
            "written in a notebook cell or a file"
        ) from exc
    choices = Choices(
        name=said.get("name"),
        cache_max_age=said.get("cache_max_age"),
        headers=header_modules(said.get("headers", ())),
        directory=os.getcwd(),  # noqa: PTH109 - a string is what travels
    )
    return parse(source, choices)


def _as_text(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Arguments as a query carries them: text as it is, everything else as JSON; None is left out."""
    import orjson

    return {
        name: value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        for name, value in parameters.items()
        if value is not None
    }
