"""`fused.load`: a UDF from a folder, a file, an archive, a text or GitHub, by its name, its id, or a token."""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fused_jupyter.api.found import at_address, in_file, in_folder, is_address
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import UdfDefinitionError, UdfExistsError, UdfNotFoundError, UnknownUdfError
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.settings import setting
from fused_jupyter.storage import (
    Folder,
    definition_of,
    definition_of_code,
    read_archive,
)
from fused_jupyter.udfs import UdfDefinition

if TYPE_CHECKING:
    from lonboard import BaseLayer

    from fused_jupyter.api.pool import JobPool
    from fused_jupyter.api.tokens import UdfAccessToken
    from fused_jupyter.widgets import FusedMap


class LoadedUdf(Udf):
    """A UDF that `fused.load` gave.

    It can be called at once. Its name is the notebook's business: the first map or URL registers it, if no other UDF
    has the name.
    """

    def __init__(self, definition: UdfDefinition, *, import_globals: bool = True) -> None:
        super().__init__(definition)
        self._import_globals = import_globals

    def __getattr__(self, name: str) -> Any:  # whatever the user defined
        if name.startswith("_") or (self._import_globals and not setting("never_import")):
            return super().__getattr__(name)
        why = "fused.options.never_import is set" if self._import_globals else "it was loaded with import_globals=False"
        raise AttributeError(
            f"the UDF {self.name} has no attribute {name!r}: {why}",
            name=name,
            obj=self,
        )

    @overload
    def map(self, /, **parameters: Any) -> FusedMap: ...
    @overload
    def map(self, arg_list: Iterable[Any], /, **options: Any) -> JobPool: ...
    def map(self, /, *arg_list: Any, **parameters: Any) -> FusedMap | JobPool:  # noqa: D102 - as of every UDF
        if not arg_list:  # runs need no name
            self._claim_name()
        return super().map(*arg_list, **parameters)

    def to_lonboard(self, **parameters: Any) -> BaseLayer:  # noqa: D102 - as of every UDF
        self._claim_name()
        return super().to_lonboard(**parameters)

    def _url(self, *args: Any, **kwargs: Any) -> str:
        self._claim_name()
        return super()._url(*args, **kwargs)

    def _repr_html_(self) -> str:
        if self._has_its_name():
            return super()._repr_html_()
        about = html.escape(self.definition.description.partition("\n")[0])
        return (
            f"<div><code style='font-weight:600'>{html.escape(self.signature)}</code></div><div>{about}</div>"
            "<div style='opacity:.75'>loaded, not registered: map() and file_url() do that, if its name is free</div>"
        )

    def _has_its_name(self) -> bool:
        try:
            return current().registry.get(self.name).digest == self.digest
        except UnknownUdfError:
            return False

    def _claim_name(self) -> None:
        known = {definition.name: definition for definition in current_kernel().registry.all()}
        if self.name not in known:
            self.register()
        elif known[self.name].digest != self.digest:
            raise UdfExistsError(
                f"the notebook has another UDF called {self.name}, which answers for the name; register() puts this "
                "one in its place, register('other_name') gives it another",
                udf=self.name,
            )


@overload
def load(
    source: Udf, /, *, cache_key: Any = None, import_globals: bool = True, collection_name: str | None = None
) -> Udf: ...
@overload
def load(
    source: str | os.PathLike[str] | UdfAccessToken,
    /,
    *,
    cache_key: Any = None,
    import_globals: bool = True,
    collection_name: str | None = None,
) -> LoadedUdf: ...
def load(
    source: Udf | str | os.PathLike[str] | UdfAccessToken,
    /,
    *,
    cache_key: Any = None,  # noqa: ARG001 - see below
    import_globals: bool = True,
    collection_name: str | None = None,
) -> Udf:
    """Load a UDF.

    Args:
        source: a folder that `to_directory` or the official client wrote, a `.py` file, a `.zip` archive, a source
            text, an address `https://github.com/<owner>/<repository>/tree/<ref>/<folder>` or `/blob/<ref>/<file>`, the
            name of a registered UDF, or of a saved one: `name`, `me/name`, `team/name`, `collection/name`, its id, or a
            token that opens it; `UDF_<Name>` of a catalogue. Looked for in this order, except that what has more than
            one line is a text; inside a UDF those of its own collection or folder come before all other names. Paths
            start from the working directory. A UDF is given back as it is.
        cache_key: where Fused's cloud would keep it; here files are read each time.
        import_globals: whether what its code defines beside the UDF can be had as attributes of it.
        collection_name: the collection in which the name is looked for, and nowhere else.

    Returns:
        The UDF, which can be called at once; it is not registered under its name. What it defines beside the function
        are its attributes: `load("common").get_tiles(...)`. Its relative paths start from the working directory, those
        of a saved one where they did when it was saved.

    Raises:
        UdfNotFoundError: there is no such file or folder.
        DownloadError: the repository cannot be reached.
        UnknownUdfError: no UDF has that name; or it is one of Fused's cloud.
        UnknownTokenError: it is no token of this user.
        ShareError: the token is closed or has expired.
        UdfDefinitionError: it is broken, holds no UDF or more than one; the message says which file and why.

    >>> double = load('''
    ... @fused.udf
    ... def double(n: int = 2):
    ...     return 2 * n
    ... ''')
    >>> double(n=21)
    42
    """
    if isinstance(source, Udf):
        return source
    from fused_jupyter.api.saved import resolve
    from fused_jupyter.api.tokens import UdfAccessToken

    if isinstance(source, UdfAccessToken):
        definition = resolve(source.reference)
    elif collection_name is not None:
        definition = resolve(os.fspath(source), collection=collection_name)
    else:
        definition = _definition(source, os.getcwd())  # noqa: PTH109 - a string is what travels
    return LoadedUdf(definition, import_globals=import_globals)


async def load_async(source: Udf | str | os.PathLike[str] | UdfAccessToken, /, **options: Any) -> Udf:
    """`load` beside an event loop, which goes on meanwhile: `await fused.load_async("quakes")`."""
    loaded: Udf = await asyncio.to_thread(lambda: load(source, **options))
    return loaded


def _definition(source: str | os.PathLike[str], directory: str) -> UdfDefinition:
    text = os.fspath(source)
    if "\n" in text:
        return definition_of_code(text, Folder(Path()), directory=directory)
    if is_address(text):
        return at_address(text, directory)
    if _ADDRESS.match(text):
        raise UnknownUdfError(
            f"{text}: of web addresses only those of GitHub can be loaded, https://github.com/<owner>/<repository>/tree"
            "/<ref>/<folder>; download the folder, and load that"
        )
    from fused_jupyter.api.saved import is_token, resolve

    if is_token(text):
        return resolve(text)
    if (definition := _at_path(Path(os.path.expanduser(text)), directory)) is not None:  # noqa: PTH111 - a Path raises where there is no such user
        return definition
    if text.endswith((".py", ".zip")) or not isinstance(source, str):
        raise UdfNotFoundError(f"there is no {text}, seen from {directory}")
    if "def " in text:
        return definition_of_code(text, Folder(Path()), directory=directory)
    return _by_name(text, directory)


def _at_path(path: Path, directory: str) -> UdfDefinition | None:
    from fused_jupyter.api.saved import bare

    if _is(path.is_dir):
        return in_folder(path, directory)
    if _is(path.is_file):
        return bare(_of_file(path, directory))
    return None


def _of_file(path: Path, directory: str) -> UdfDefinition:
    if path.suffix == ".py":
        return in_file(path, directory)
    if path.suffix == ".zip" or zipfile.is_zipfile(path):
        return definition_of(read_archive(path), directory=directory)
    raise UdfDefinitionError(f"{path} is neither a folder nor a .py file nor a .zip archive")


def _by_name(name: str, directory: str) -> UdfDefinition:
    from fused_jupyter.api.saved import resolve

    try:
        return resolve(name)
    except UnknownUdfError as exc:
        exc.message = f"{exc.message}; and there is no file or folder {name!r} in {directory}"
        raise


_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def _is(what: Callable[[], bool]) -> bool:
    """Whether a path is that; a text that no path can be is not."""
    with contextlib.suppress(OSError, ValueError):
        return what()
    return False
