"""`fused.load`: a UDF from a folder, a file, a zip archive, a text, by its name, its id, or a token."""

from __future__ import annotations

import contextlib
import html
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import UdfDefinitionError, UdfExistsError, UdfNotFoundError, UnknownUdfError
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.storage import (
    Folder,
    definition_of,
    definition_of_code,
    definition_of_file,
    read_archive,
)
from fused_jupyter.udfs import UdfDefinition

if TYPE_CHECKING:
    from lonboard import BitmapTileLayer

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
        if name.startswith("_") or self._import_globals:
            return super().__getattr__(name)
        raise AttributeError(
            f"the UDF {self.name} has no attribute {name!r}: it was loaded with import_globals=False",
            name=name,
            obj=self,
        )

    def map(self, **parameters: Any) -> FusedMap:  # noqa: D102 - as of every UDF
        self._claim_name()
        return super().map(**parameters)

    def to_lonboard(self, **parameters: Any) -> BitmapTileLayer:  # noqa: D102 - as of every UDF
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
            text, the name of a registered UDF, or of a saved one: `name`, `me/name`, `team/name`, `collection/name`,
            its id, or a token that opens it. Looked for in this order, except that what has more than one line is a
            text; inside a UDF that is saved in a collection, those of the same collection come before all other names.
            Paths start from the working directory. A UDF is given back as it is.
        cache_key: where Fused's cloud would keep it; here files are read each time.
        import_globals: whether what its code defines beside the UDF can be had as attributes of it.
        collection_name: the collection in which the name is looked for, and nowhere else.

    Returns:
        The UDF, which can be called at once; it is not registered under its name. What it defines beside the function
        are its attributes: `load("common").get_tiles(...)`. Its relative paths start from the working directory, those
        of a saved one where they did when it was saved.

    Raises:
        UdfNotFoundError: there is no such file or folder.
        UnknownUdfError: no UDF has that name; or it is one of GitHub or of Fused's cloud.
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


def _definition(source: str | os.PathLike[str], directory: str) -> UdfDefinition:
    text = os.fspath(source)
    if "\n" in text:
        return definition_of_code(text, Folder(Path()), directory=directory)
    if _ADDRESS.match(text):
        raise UnknownUdfError(
            f"{text}: a UDF cannot be loaded from a web address yet; clone the repository and load the UDF's folder"
        )
    from fused_jupyter.api.saved import TOKEN, bare, resolve

    if TOKEN.fullmatch(text):
        return resolve(text)
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - a Path raises where there is no such user
    if _is(path.is_dir):
        return bare(definition_of(Folder(path), directory=directory))  # where it came from, it may be saved
    if _is(path.is_file):
        return bare(_of_file(path, directory))
    if path.suffix in {".py", ".zip"} or not isinstance(source, str):
        raise UdfNotFoundError(f"there is no {path}, seen from {directory}")
    if "def " in text:
        return definition_of_code(text, Folder(Path()), directory=directory)
    return _by_name(text, directory)


def _of_file(path: Path, directory: str) -> UdfDefinition:
    if path.suffix == ".py":
        return definition_of_file(Folder(path.parent), path.name, directory=directory)
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
