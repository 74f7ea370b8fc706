"""UDFs from their places; `fused.load` does all of it by itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from fused_jupyter.api.found import is_address
from fused_jupyter.api.load import LoadedUdf, load
from fused_jupyter.api.saved import TOKEN
from fused_jupyter.errors import ArgumentError, UdfNotFoundError
from fused_jupyter.udfs import renamed


def load_udf_from_code(code: str, name: str | None = None, import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - as in the reference
    r"""A UDF from its source.

    Args:
        code: the text, with one function that `@fused.udf` marks.
        name: what it is called; by default as its function or decorator says.
        import_globals: whether what the code defines beside it can be had as attributes of it.

    Raises:
        UdfDefinitionError: there is no UDF in it, or it is broken.

    >>> double = load_udf_from_code("@fused.udf\ndef double(n: int = 2): return 2 * n")
    >>> double(n=21)
    42
    """
    loaded = load(code if "\n" in code else f"{code}\n", import_globals=_globals(import_globals))
    return LoadedUdf(renamed(loaded.definition, name), import_globals=_globals(import_globals)) if name else loaded


def load_udf_from_file(path: str | os.PathLike[str], import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - see above
    """A UDF from a Python file; it is called as the file is.

    Raises:
        UdfNotFoundError: it is not there.
    """
    return load(_there(path), import_globals=_globals(import_globals))


def load_udf_from_directory(path: str | os.PathLike[str], import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - see above
    """A UDF from a folder that `to_directory` wrote.

    Raises:
        UdfNotFoundError: it is not there.
    """
    return load(_there(path), import_globals=_globals(import_globals))


def load_udf_from_zip(path: str | os.PathLike[str], import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - see above
    """A UDF from an archive that `to_file` wrote.

    Raises:
        UdfNotFoundError: it is not there.
    """
    return load(_there(path), import_globals=_globals(import_globals))


def load_udf_from_fused(
    email_or_handle_or_id: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    *,
    cache_key: Any = None,
    import_globals: bool | None = None,
    collection_name: str | None = None,
) -> LoadedUdf:
    """A saved UDF.

    Args:
        email_or_handle_or_id: whose it is; without `id` its name or id.
        id: its name or id.
        cache_key: for Fused's cloud only.
        import_globals: whether what its code defines beside it can be had as attributes of it.
        collection_name: the collection that it is in.

    Raises:
        UnknownUdfError: there is none of that name.
    """
    name = email_or_handle_or_id if id is None else f"{email_or_handle_or_id}/{id}"
    return load(name, cache_key=cache_key, import_globals=_globals(import_globals), collection_name=collection_name)


async def load_udf_from_fused_async(
    email_or_handle_or_id: str,
    id: str | None = None,  # noqa: A002 - the name in the reference
    **options: Any,
) -> LoadedUdf:
    """`load_udf_from_fused` beside an event loop."""
    return await asyncio.to_thread(load_udf_from_fused, email_or_handle_or_id, id, **options)


def load_udf_from_shared_token(token: str, import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - see above
    """The UDF that a token of this user opens.

    Raises:
        UnknownTokenError: it is none of theirs.
        ArgumentError: it is no token.
    """
    if not TOKEN.fullmatch(token):
        raise ArgumentError("token: need one that begins with fsh_ or fc_; fused.load takes names and paths, too")
    return load(token, import_globals=_globals(import_globals))


def load_udf_from_github(url: str, import_globals: bool | None = None) -> LoadedUdf:  # noqa: FBT001 - see above
    """A UDF of a repository.

    Args:
        url: `https://github.com/<owner>/<repository>/tree/<ref>/<folder>`.
        import_globals: whether what its code defines beside it can be had as attributes of it.

    Raises:
        UdfNotFoundError: there is nothing.
        DownloadError: it cannot be reached.
        ArgumentError: it is no such address.
    """
    if not is_address(url):
        raise ArgumentError(f"url: got {url!r}, need https://github.com/<owner>/<repository>/tree/<ref>/<folder>")
    return load(url, import_globals=_globals(import_globals))


def import_from_github(url: str, module_name: str | None = None) -> Any:
    """A UDF of a repository for what it defines: `import_from_github(url).utils.read(...)`.

    Args:
        url: see `load_udf_from_github`.
        module_name: a header module of it, which is given in its place.

    Raises:
        AttributeError: it has no such module.
    """
    loaded = load_udf_from_github(url)
    return loaded if module_name is None else getattr(loaded, module_name)


def _there(path: str | os.PathLike[str]) -> Path:
    """A path that is there, so that it is not taken for a name."""
    place = Path(path).expanduser()
    if not place.exists():
        raise UdfNotFoundError(f"there is no {place}, seen from {Path.cwd()}")
    return place


def _globals(said: bool | None) -> bool:  # noqa: FBT001 - the official client's own None
    return True if said is None else said
