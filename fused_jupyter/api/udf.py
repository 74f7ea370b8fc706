"""The UDF in the user's hand."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode

from fused_jupyter.api.addresses import as_query
from fused_jupyter.api.attributes import defined_name, defined_names, missing_attribute
from fused_jupyter.api.card import card
from fused_jupyter.api.variables import warn_of_variables
from fused_jupyter.errors import ArgumentError, UnknownUdfError
from fused_jupyter.formats import STYLE_NAMES
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.udfs import HeaderModule, UdfDefinition, renamed, with_default_parameters

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

    from fused_jupyter.api.profile import Profile
    from fused_jupyter.api.result import RunResult
    from fused_jupyter.widgets import FusedMap


class Udf:
    """A UDF: call it, put it on a map, give its address to others.

    It holds one frozen version of the code. Running its cell again makes a new one, which from then on answers for the
    name; this object keeps giving what it gave before.

    What its code defines at the top, functions and constants, are attributes of it, and so are its header modules:
    `quakes.helper()`, `quakes.utils.read()`. That code runs when the first of them is asked for, here in this process.

    >>> from fused_jupyter import udf
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
    def entrypoint(self) -> str:
        """The function in the code."""
        return self._definition.entrypoint

    @property
    def headers(self) -> tuple[HeaderModule, ...]:
        """The modules that travel with it."""
        return self._definition.headers

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its default parameters: the values where a call gives none. `definition.parameters` has the signature's."""
        return MappingProxyType(dict(self._definition.default_parameters))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What is kept with it for others."""
        return MappingProxyType(dict(self._definition.metadata))

    @property
    def cache_max_age(self) -> int | None:
        """Seconds for which a result answers for itself; None leaves it to the settings."""
        return self._definition.cache_max_age

    @property
    def engine(self) -> str | None:
        """Where it runs: `kernel` in the notebook's kernel; else, whatever Fused's cloud would do, in a worker here."""
        return self._definition.placement.get("engine")

    @property
    def disk_size_gb(self) -> int | None:
        """Only of Fused's cloud, as `region`."""
        return self._definition.placement.get("disk_size_gb")

    @property
    def region(self) -> str | None:
        """Only of Fused's cloud."""
        return self._definition.placement.get("region")

    @property
    def type(self) -> str:
        """As the official client calls all UDFs."""
        return "geopandas_v2"

    @property
    def collection_name(self) -> str:
        """The collection that it is in; one machine has only this."""
        return "default"

    @property
    def collection_id(self) -> None:
        """None: collections have numbers in Fused's cloud only."""

    @property
    def catalog_url(self) -> None:
        """None: it is in no catalogue of Fused's cloud."""

    @property
    def original_headers(self) -> None:
        """None; the official client keeps it for old UDFs."""

    @property
    def signature(self) -> str:
        """Name and parameters as one line."""
        return self._definition.signature

    @property
    def digest(self) -> str:
        """SHA-256 of the code with its header modules: the version."""
        return self._definition.digest

    def eval_schema(self, *, inplace: bool = False) -> Udf:
        """Itself: its parameters are read from the code, so there is nothing to bring up to date."""
        return self

    # -- changing it

    def set_parameters(
        self,
        parameters: Mapping[str, Any],
        replace_parameters: bool = False,  # noqa: FBT001, FBT002 - as in the reference
        inplace: bool = False,  # noqa: FBT001, FBT002
    ) -> Udf:
        """The same UDF with other default parameters: a version of its own, so no old result answers for it.

        Args:
            parameters: values by name, for calls that give none.
            replace_parameters: forget the default parameters that it had; else they are kept where no new one comes.
            inplace: change this object. If it answers for its name, it goes on doing so; else `register` makes it.

        Returns:
            The UDF with these parameters; this object where `inplace` says so.

        Raises:
            UdfDefinitionError: a name that is no parameter, or a value that cannot travel.

        >>> from fused_jupyter import udf
        >>> @udf
        ... def double(n: int = 2):
        ...     return 2 * n
        >>> double.set_parameters({"n": 21})()
        42
        """
        kept = {} if replace_parameters else self._definition.default_parameters
        definition = with_default_parameters(self._definition, {**kept, **parameters})
        if inplace and self._is_registered():
            current().register(definition)
        changed = self if inplace else object.__new__(type(self))
        changed.__dict__.update(self.__dict__ | {"_definition": definition})
        return changed

    # -- running it

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it and give what it returns, as `fused.run` does; positional arguments go by the order of parameters."""
        from fused_jupyter.api.run import run

        own, options = self._own_and_options(self._by_name(args, kwargs))
        return run(self, parameters=own, **options)

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Run it and measure where the time goes: a notebook shows its source with the time beside each line.

        Time and memory are sampled some hundred times a second, which costs little. See `Profile` for what the time of
        a line means. Nothing is taken from the cache or kept.

        Args:
            *args: arguments by the order of parameters.
            **kwargs: arguments; `x`, `y` and `z` for a tile.

        Raises:
            FusedError: as `fused.run` does.

        >>> from fused_jupyter import udf
        >>> @udf
        ... def wait():
        ...     import time
        ...     time.sleep(0.1)
        >>> lines = wait.profile().lines
        >>> max(lines, key=lines.get)
        4
        """
        from fused_jupyter.api.run import profile

        own, options = self._own_and_options(self._by_name(args, kwargs))
        return profile(self, parameters=own, **options)

    def run_local(self, *, inplace: bool = False, **parameters: Any) -> RunResult:
        """Run it and give all that is known of the run, as `fused.run_result` does; every run is local here."""
        from fused_jupyter.api.run import run_result

        return run_result(self, **parameters)

    def delete_cache(self) -> int:
        """Delete its kept results: of all its versions and arguments, whichever kernel of yours made them.

        For when a file or a service that it reads has changed: its results do not know of that. Browsers keep what they
        got from addresses with a version until they reload.

        Returns:
            How many results there were.

        >>> from fused_jupyter import udf
        >>> @udf(cache_max_age="1h")
        ... def double(n: int = 2):
        ...     return 2 * n
        >>> double(n=4)
        8
        >>> double.delete_cache() > 0, double.delete_cache()
        (True, 0)
        """
        from fused_jupyter.api.results import delete_results

        return delete_results(self.name)

    # -- keeping it

    def to_directory(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> Path:
        """Save it as a folder, which `fused.load` opens, also that of the official client.

        The folder holds the source as it is, one file for each header module, `meta.json` and `README.MD`. It is
        written whole or not at all.

        Args:
            path: a folder that is not there yet, or is empty; by default one called as the UDF is.
            overwrite: replace the UDF in it. Its other files stay, and so does a README that somebody wrote.

        Returns:
            The path of the folder.

        Raises:
            UdfExistsError: it is there already; or what is there is no folder of a UDF.
        """
        from fused_jupyter.storage import write_folder

        warn_of_variables(self.definition)
        target = Path(self.name if path is None else path).expanduser()
        return write_folder(self.definition, target, overwrite=overwrite)

    def to_file(self, path: str | os.PathLike[str] | BinaryIO, *, overwrite: bool = False) -> None:
        """Save it as a zip archive of the same files, which `fused.load` opens.

        Args:
            path: a path that ends in `.zip`, or an open binary file.
            overwrite: replace the file that is there.

        Raises:
            UdfExistsError: it is there already.
        """
        from fused_jupyter.storage import write_archive

        warn_of_variables(self.definition)
        target = Path(path).expanduser() if isinstance(path, (str, os.PathLike)) else path
        write_archive(self.definition, target, overwrite=overwrite)

    def register(self, name: str | None = None) -> Udf:
        """Let it answer for its name, in URLs and on maps: after `fused.load`, or to return to this version.

        Args:
            name: another name.

        Returns:
            The UDF under that name.

        Raises:
            UdfDefinitionError: the name cannot stand in a URL.
        """
        definition = self.definition if name is None else renamed(self.definition, name)
        current().register(definition)
        return Udf(definition)

    # -- showing it

    def map(self, **parameters: Any) -> FusedMap:
        """A live map of its tiles.

        Args:
            **parameters: arguments of the UDF; the map's `params` trait changes them later. Of what is no parameter of
                the UDF, `rescale`, `colormap`, `nodata` and `max_features` say how its tiles are drawn, and the rest
                goes to `FusedMap`: `center`, `zoom`, `bounds`, `basemap`, `height`, `controls`.

        Returns:
            A widget that follows the UDF: running its cell again redraws it.
        """
        from fused_jupyter.widgets import FusedMap, TileLayer

        arguments, drawing, rest = self._split(parameters)
        return FusedMap(TileLayer(self, params=drawing), params=self._carried(arguments), **rest)

    def to_lonboard(self, **parameters: Any) -> BitmapTileLayer:
        """A lonboard `BitmapTileLayer` of its raster tiles, kept fresh when its cell is run again.

        lonboard can send no credentials, so the layer gets a token in its URL: it opens this UDF only and dies with the
        kernel. lonboard itself needs the internet to start. A notebook saved with its widgets holds the dead token.

        Args:
            **parameters: arguments of the UDF, and how its tiles are drawn, as for `map`; the rest goes to
                `BitmapTileLayer`.

        Raises:
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        from fused_jupyter.widgets import bitmap_tile_layer

        arguments, drawing, rest = self._split(parameters)
        runtime = current_kernel()
        base_url = runtime.server().base_url
        token = runtime.grant(self.name)
        texts = as_query(self._carried(arguments) | drawing)

        def url() -> str:
            version = runtime.registry.get(self.name).digest
            query = urlencode({**texts, "v": version})
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

    # -- as an object

    def __getattr__(self, name: str) -> Any:  # whatever the user defined
        # Names with _ are what IPython, pickle and others try on every object.
        if name.startswith("_"):
            raise AttributeError(f"a Udf has no attribute {name!r}", name=name, obj=self)
        if (defined := defined_name(self._definition, name)) is None:
            raise AttributeError(missing_attribute(self._definition, name), name=name, obj=self)
        return getattr(self._top_level, defined)

    @functools.cached_property
    def _top_level(self) -> ModuleType:
        from fused_jupyter.engines.execute import top_level

        return top_level(self._definition)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *defined_names(self._definition)})

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(
                f"{name} of the UDF {self.name} cannot be set: it is frozen. Run its cell again, or use set_parameters "
                "or register, which give another UDF",
                name=name,
                obj=self,
            )
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return self._definition == other._definition if isinstance(other, Udf) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._definition.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Udf, (self._definition,)

    def __repr__(self) -> str:
        return f"<Udf {self.signature}>"

    def _repr_html_(self) -> str:
        return card(self.definition)

    def _url(self, path: str, parameters: Mapping[str, Any]) -> str:
        runtime = current_kernel()
        query = urlencode({"kernel": runtime.kernel_id, **as_query(self._carried(parameters))})
        return f"{runtime.server().url(path)}?{query}"

    def _is_registered(self) -> bool:
        """Whether this version is what its name means."""
        try:
            return current().registry.get(self.name) == self._definition
        except UnknownUdfError:
            return False

    def _carried(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, with the default parameters that are not those of the version that answers for the name."""
        try:
            known = current().registry.get(self.name).default_parameters
        except UnknownUdfError:
            known = {}
        own = self._definition.default_parameters
        return {**{name: own[name] for name in own if name not in known or known[name] != own[name]}, **parameters}

    def _split(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The UDF's own arguments, how to draw it, and the rest.

        The tile fills in the spatial argument: as `bounds` it is for the map.
        """
        own = {parameter.name for parameter in self._definition.parameters if not parameter.is_spatial}
        rest = dict(given)
        arguments = {name: rest.pop(name) for name in given if name in own}
        drawing = {name: rest.pop(name) for name in given if name in STYLE_NAMES - own}
        return arguments, drawing, rest

    def _own_and_options(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the UDF has a parameter for, which may be called `udf`, and what else `fused.run` takes."""
        own = {parameter.name for parameter in self._definition.parameters}
        return {n: v for n, v in given.items() if n in own}, {n: v for n, v in given.items() if n not in own}

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = [parameter.name for parameter in self._definition.parameters if parameter.kind == "positional"]
        if len(args) > len(names):
            raise ArgumentError(
                f"{self.name} takes {len(names)} positional arguments, {len(args)} were given: {self.signature}"
            )
        positional = dict(zip(names, args, strict=False))
        if doubled := positional.keys() & kwargs.keys():
            raise ArgumentError(f"{self.name} got {', '.join(sorted(doubled))} twice, by position and by name")
        return {**positional, **kwargs}
