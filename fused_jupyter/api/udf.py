"""The UDF in the user's hand."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import EllipsisType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, overload
from urllib.parse import quote, urlencode

from fused_jupyter.api.addresses import as_query
from fused_jupyter.api.attributes import defined_name, defined_names, missing_attribute
from fused_jupyter.api.card import card
from fused_jupyter.api.given import by_name, carried, own_and_options
from fused_jupyter.api.old_methods import old_method
from fused_jupyter.api.variables import warn_of_variables
from fused_jupyter.api.viewport import run_on
from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.udfs import HeaderModule, UdfDefinition, renamed, with_default_parameters

if TYPE_CHECKING:
    from lonboard import BaseLayer

    from fused_jupyter.api.limits import Expiry
    from fused_jupyter.api.pool import JobPool
    from fused_jupyter.api.profile import Profile
    from fused_jupyter.api.result import RunResult
    from fused_jupyter.api.tokens import UdfAccessToken, UdfAccessTokenList
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
        """The collection that it is saved in, or would be."""
        return str(self._definition.metadata.get("fused:collection") or "default")

    @property
    def collection_id(self) -> str | None:
        """The id of that collection; None while it is not saved."""
        return self._definition.metadata.get("fused:collection_id")

    catalog_url = original_headers = None
    """Of Fused's cloud: it is in no catalogue there, and has no headers of an old form."""

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

        own, options = own_and_options(self._definition, by_name(self._definition, args, kwargs))
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

        own, options = own_and_options(self._definition, by_name(self._definition, args, kwargs))
        return profile(self, parameters=own, **options)

    def run_local(self, *, inplace: bool = False, **parameters: Any) -> RunResult:
        """Run it and give all that is known of the run, as `fused.run_result` does; every run is local here."""
        from fused_jupyter.api.run import run_result

        return run_result(self, **parameters)

    run_on = run_on

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
        from fused_jupyter.api.saved import bare
        from fused_jupyter.storage import write_folder

        warn_of_variables(self.definition)
        target = Path(self.name if path is None else path).expanduser()
        return write_folder(bare(self.definition), target, overwrite=overwrite)

    def to_file(self, path: str | os.PathLike[str] | BinaryIO, *, overwrite: bool = False) -> None:
        """Save it as a zip archive of the same files, which `fused.load` opens.

        Args:
            path: a path that ends in `.zip`, or an open binary file.
            overwrite: replace the file that is there.

        Raises:
            UdfExistsError: it is there already.
        """
        from fused_jupyter.api.saved import bare
        from fused_jupyter.storage import write_archive

        warn_of_variables(self.definition)
        target = Path(path).expanduser() if isinstance(path, (str, os.PathLike)) else path
        write_archive(bare(self.definition), target, overwrite=overwrite)

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

    # -- saving and sharing it

    def to_fused(
        self,
        overwrite: bool | None = None,  # noqa: FBT001 - as in the reference
        *,
        collection_name: str | None = None,
        create_collection: bool = False,
    ) -> Udf:
        """Save it under its name: it answers from then on with no notebook open, and in all notebooks of this user.

        Earlier versions are kept. Saving the same code again changes nothing.

        Args:
            overwrite: let this version answer in the place of the one that is saved under this name. A UDF that came
                from `fused.load` or was saved before needs no leave to replace itself.
            collection_name: where; by default the one that it is in, else `default`.
            create_collection: make the collection where there is none.

        Returns:
            Itself, knowing its id as `metadata["fused:id"]`.

        Raises:
            UdfExistsError: another one is saved under this name; shows the difference.
            UdfDefinitionError: it uses variables of the notebook or runs in the kernel, so its code is not all of it.

        >>> from fused_jupyter import load, udf
        >>> @udf
        ... def treble(n: int = 2):
        ...     return 3 * n
        >>> treble = treble.to_fused(overwrite=True)
        >>> load("me/treble")(n=5)
        15
        >>> treble.delete_saved()
        """
        from fused_jupyter.api.saved import save

        saved = save(
            self._definition,
            collection=collection_name,
            overwrite=bool(overwrite),
            create_collection=create_collection,
        )
        self._take(saved)
        return self

    def delete_saved(self) -> None:
        """Delete what is saved of it, with all versions and tokens. In this notebook it goes on as before.

        Raises:
            UnknownUdfError: this version is not saved.
        """
        from fused_jupyter.api.saved import delete

        self._take(delete(self._definition))

    def create_access_token(  # noqa: PLR0913 - those of the reference, and the limits
        self,
        *,
        expires: Expiry | None = None,
        rate: str | float | None = None,
        concurrency: int | None = None,
        parameters: Sequence[str] | None = None,
        formats: Sequence[str] | None = None,
        zooms: tuple[int, int] | None = None,
        show_errors: bool = False,
        live: bool | None = None,
        cache: bool = True,
        metadata_json: Mapping[str, Any] | None = None,
        enabled: bool = True,
        client_id: str | EllipsisType | None = ...,
        public_read: bool | None = None,
        access_scope: str | None = None,
    ) -> UdfAccessToken:
        """A token: whoever has it may run this UDF by its address, and nothing else.

        Where this version is saved it lasts, and opens whatever is saved under that id later. Else it is a live one: it
        opens what the notebook means by the name, and ends with the kernel.

        Args:
            expires: when it ends: seconds from now, `90m`, `12h`, `7d`, or a datetime. None is never.
            rate: requests: a number for each second, or `20/s`, `100/min`. Twice as many may come at once.
            concurrency: runs at one time.
            parameters: the arguments that may come; the others keep their defaults. None is all.
            formats: the formats that may be asked for, as `("png", "csv")`.
            zooms: the lowest and highest zoom of tiles.
            show_errors: whether it sees what the UDF prints, and its tracebacks.
            live: True for a live one also of a saved UDF; False insists on a lasting one.
            cache: whether results are kept for it and kept ones given.
            metadata_json: what its TileJSON says beside the usual.
            enabled: False makes one that opens nothing yet.
            client_id: this and those below are kept for the official client and change nothing.
            public_read: see `client_id`.
            access_scope: see `client_id`.

        Returns:
            The token. Its `token` is the secret, which is shown by no repr and kept nowhere.

        Raises:
            ArgumentError: a limit that cannot be.
            UnknownUdfError: `live=False`, and this version is not saved.
        """
        from fused_jupyter.api.tokens import create

        return create(
            self._definition,
            claim_name=self._claim_name,
            live=live,
            expires=expires,
            rate=rate,
            concurrency=concurrency,
            parameters=parameters,
            formats=formats,
            zooms=zooms,
            show_errors=show_errors,
            cache=cache,
            metadata_json=metadata_json,
            enabled=enabled,
            client_id=None if isinstance(client_id, EllipsisType) else client_id,
            public_read=bool(public_read),
            access_scope=access_scope,
        )

    def get_access_tokens(self) -> UdfAccessTokenList:
        """Its tokens, without their secrets: those of the saved UDF, and the live ones of its name."""
        from fused_jupyter.api.tokens import tokens_of

        return tokens_of(self._definition)

    def get_access_token(self) -> UdfAccessToken:
        """The newest of its tokens, without its secret.

        Raises:
            UnknownTokenError: it has none.
        """
        from fused_jupyter.api.tokens import newest_of

        return newest_of(self._definition)

    def shared_url(self, format: str | None = None) -> str:  # noqa: A002 - the name in the reference
        """The address of a new token, which opens it for everybody who has the address.

        Args:
            format: `csv`, `geojson`, `parquet`, `png` and so on; None leaves it to the value.

        Raises:
            NoServerError: this kernel was not started by a Jupyter server with the extension.
        """
        current_kernel().server()  # before there is a token that nobody knows
        return self.create_access_token().get_file_url(format)

    def invalidate_cache(self, z: int | None = None, x: int | None = None, y: int | None = None) -> int:
        """Delete its kept results, as `delete_cache` does: all of them, also where a tile is named."""
        del z, x, y
        return self.delete_cache()

    # -- showing it

    @overload
    def map(self, /, **parameters: Any) -> FusedMap: ...
    @overload
    def map(self, arg_list: Iterable[Any], /, **options: Any) -> JobPool: ...
    def map(self, /, *arg_list: Any, **parameters: Any) -> FusedMap | JobPool:
        """A live map, which its cell redraws; with arguments by position, runs for all of them: `udf.map([1, 2]).df()`.

        Args:
            *arg_list: for runs, what `fused.submit` takes, and its options as keywords: then this gives a `JobPool`.
            **parameters: arguments of the UDF; the map's `params` trait changes them later. Of what is no parameter of
                the UDF, `rescale`, `colormap`, `nodata` and `max_features` say how its tiles are drawn; `style`,
                `legend`, `tooltip`, `opacity`, `name` and the like go to its layer, and the rest to `FusedMap`:
                `center`, `zoom`, `bounds`, `basemap`, `height`, `controls`. Where you say nothing, its metadata do. A
                UDF that takes bounds is drawn as tiles, or with `follow=True` by one run for the view; others run once.
        """
        if arg_list:
            from fused_jupyter.api.submit import map_over

            pool: JobPool = map_over(self, *arg_list, **parameters)
            return pool
        from fused_jupyter.api.mapping import map_of

        return map_of(self, parameters)

    def to_lonboard(self, **parameters: Any) -> BaseLayer:
        """A layer of lonboard with what it gives, drawn anew when its cell runs again or `layer.params` is set.

        Features are a `ScatterplotLayer`, `PathLayer`, `PolygonLayer` or `H3HexagonLayer`; rasters a `BitmapTileLayer`
        with a token in its URL, as lonboard sends no login: it opens this UDF only and dies with the kernel. lonboard
        itself needs the internet to start.

        Args:
            **parameters: arguments of the UDF, and how its tiles are drawn, as for `map`. `bounds`: for what area it
                runs, by default the world. `kind="raster"` or `"vector"`: what it gives, by default seen by a run.
                `geometry="point"`, `"line"`, `"polygon"`: only these rows. The rest is for the layer, where a function
                gets the table: `get_radius=lambda frame: frame.mag * 1e4`.

        Raises:
            NoServerError: of tiles, this kernel was not started by a Jupyter server with the extension.
            ArgumentError: lonboard has no layer for it.
        """
        from fused_jupyter.api.lonboard import lonboard_of

        return lonboard_of(self._definition, parameters)

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
            if (method := old_method(self, name)) is not None:
                return method
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
        query = urlencode({"kernel": runtime.kernel_id, **as_query(carried(self._definition, parameters))})
        return f"{runtime.server().url(path)}?{query}"

    def _take(self, definition: UdfDefinition) -> None:
        """Be this, which differs in what is known of it, not in what it gives; also for who asks by the name."""
        if self._is_registered():
            current().register(definition)
        self._definition = definition

    def _claim_name(self) -> None:
        """Answer for the name; what comes from a cell does already."""

    def _is_registered(self) -> bool:
        """Whether this version is what its name means."""
        try:
            return current().registry.get(self.name) == self._definition
        except UnknownUdfError:
            return False
