"""`fused.api.list`, `get`, `upload` and so on: files of `fd://`, of `/mount`, and any other on this machine's disk."""

from __future__ import annotations

import builtins
import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, overload

from fused_jupyter.engines.nesting import running
from fused_jupyter.errors import ArgumentError, MissingFileError, NoServerError
from fused_jupyter.settings import Options
from fused_jupyter.storage.fd import FD, MOUNT, Depth, Files, ListDetails, Place, current_files
from fused_jupyter.storage.signing import Permit, reading_permit, signing_secret

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ListDetails", "delete", "download", "get", "list", "resolve", "sign_url", "sign_url_prefix", "upload"]


@overload
def list(path: str, *, details: Literal[False] = False) -> builtins.list[str]: ...  # noqa: A001 - Fused's own name
@overload
def list(path: str, *, details: Literal[True]) -> builtins.list[ListDetails]: ...  # noqa: A001 - see above


def list(path: str, *, details: bool = False) -> builtins.list[str] | builtins.list[ListDetails]:  # noqa: A001 - see above
    """The files and directories in a directory.

    Args:
        path: its address, such as `fd://data/`, `/mount/data` or `/home/me/data`. Of a file, that file; of what is not
            there, nothing.
        details: give sizes and times, too.

    Returns:
        Their addresses, those of directories with a slash at the end; or a `ListDetails` for each.

    Raises:
        ArgumentError: the address is not of this machine, or could leave its root.

    >>> upload(b"1,2", "fd://listed/letters.csv")
    >>> list("fd://listed/")
    ['fd://listed/letters.csv']
    >>> list("fd://listed/", details=True)[0].size
    3
    """
    found = current_files().list(path)
    return found if details else [each.url for each in found]


def get(path: str) -> bytes:
    """The content of a file.

    Args:
        path: its address, such as `fd://data/roads.parquet`.

    Raises:
        MissingFileError: it is not there; a `FileNotFoundError`, too.
        ArgumentError: the address is not of this machine, or could leave its root.

    >>> upload(b"1,2", "fd://examples/letters.csv")
    >>> get("fd://examples/letters.csv")
    b'1,2'
    """
    return current_files().get(path)


def download(path: str, local_path: str | os.PathLike[str]) -> None:
    """Copy a file to a place of your own; whole or not at all.

    Args:
        path: its address, such as `fd://data/roads.parquet`.
        local_path: where it goes. What is there is replaced.

    Raises:
        MissingFileError: it is not there.
        ArgumentError: the address is not of this machine, or nothing can be written there.
    """
    source, target = current_files().file(path), Path(local_path)
    if target.is_dir():
        raise ArgumentError(f"local_path: {target} is a directory; name the file in it")
    draft = target.with_name(f".{target.name[:100]}-{secrets.token_hex(4)}.part")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    except OSError as exc:
        raise ArgumentError(f"local_path: {target} cannot be written: {exc.strerror}") from exc
    finally:
        draft.unlink(missing_ok=True)


def upload(
    local_path: str | os.PathLike[str] | bytes | IO[bytes] | pd.DataFrame,
    remote_path: str,
    timeout: float | None = None,
) -> None:
    """Write a file; whole or not at all. What is there is replaced, directories are made.

    Args:
        local_path: a path (a text always is one), bytes, an open file, or a (Geo)DataFrame, which is written as
            Parquet whatever the file is called.
        remote_path: its address, such as `fd://data/roads.parquet`.
        timeout: for Fused's cloud only.

    Raises:
        ArgumentError: there is no such file, the address is not of this machine, or nothing can be written there.

    >>> import pandas as pd
    >>> upload(pd.DataFrame({"n": [1, 2]}), "fd://examples/numbers.parquet")
    >>> pd.read_parquet(resolve("fd://examples/numbers.parquet")).n.tolist()
    [1, 2]
    """
    del timeout
    files = current_files()
    if hasattr(local_path, "to_parquet"):
        _write_table(files, local_path, remote_path)
        return
    content = Path(local_path) if isinstance(local_path, (str, os.PathLike)) else local_path
    if isinstance(content, Path) and not content.is_file():
        raise ArgumentError(f"local_path: there is no file {str(content)!r}; the content of a text is text.encode()")
    if not isinstance(content, (bytes, bytearray, memoryview, Path)) and not hasattr(content, "read"):
        raise ArgumentError(
            f"local_path: got a {type(content).__name__}, need a path, bytes, an open file or a DataFrame"
        )
    files.put(remote_path, content)


def delete(path: str, max_deletion_depth: Depth = 3) -> bool:
    """Delete a file, or a directory with all in it.

    Args:
        path: its address, such as `fd://data/old/`.
        max_deletion_depth: how deep files may lie below the directory; if one lies deeper, nothing is deleted. One in
            the directory itself is at depth 1. `"unlimited"` deletes any.

    Returns:
        Whether there was something.

    Raises:
        ArgumentError: files lie deeper, or the address is not of this machine.

    >>> upload(b"", "fd://examples/old/a.csv")
    >>> delete("fd://examples/old/"), delete("fd://examples/old/")
    (True, False)
    """
    return current_files().delete(path, max_depth=max_deletion_depth)


def sign_url(path: str) -> str:
    """An address of a file that opens it without a login, for twelve hours. Whether it is there is not looked at.

    Args:
        path: its address, such as `fd://data/roads.parquet`.

    Returns:
        An address of this kernel's Jupyter server, as it is reached from this machine. Whoever has it may read the
        file: it is as secret as the file. Of a path outside of `fd://` and `/mount` a copy below `fd://signed/` is
        opened, as the file is now. In a UDF whose kernel has no server, and of a bucket for which a directory
        stands, that of the file itself, `file:///…`, which programs on this machine can read.

    Raises:
        NoServerError: there is no server that could answer, outside of UDFs.
        ArgumentError: the address is not of this machine.
    """
    return _readable(path)


def sign_url_prefix(path: str) -> dict[str, str]:
    """Such addresses of all files in a directory, however deep.

    Args:
        path: its address, such as `fd://data/tiles/`.

    Returns:
        By the address of each file the signed one.

    Raises:
        NoServerError: there is no server that could answer.
        ArgumentError: the address is not of this machine.
    """
    return {entry.url: _readable(entry.url) for entry in current_files().walk(path)}


def resolve(path: str) -> str:
    """The address of a file that other libraries understand.

    Args:
        path: its address, such as `fd://data/roads.parquet`.

    Raises:
        ArgumentError: the address is not of this machine.

    >>> resolve("fd://data/roads.parquet").partition("/data/roads")[0][:8]
    'file:///'
    """
    return current_files().resolve(path)


def _write_table(files: Files, table: Any, url: str) -> None:  # a DataFrame, of whichever library
    name = files.begin(url)
    try:
        table.to_parquet(files.draft(url, name))
        files.commit(url, name)
    except BaseException:  # Ctrl-C too: no half file stays
        files.drop(url, name)
        raise


def _readable(url: str) -> str:
    files = current_files()
    if (path := files.stands_for(url)) is not None:  # the server knows no such root
        return path.as_uri()
    place = files.place(url)
    try:
        if place.prefix not in {FD, MOUNT}:
            return _signed(reading_permit(_copied(files, place)))
        return _signed(reading_permit(place.url))
    except NoServerError:
        if running() is None:
            raise
        return place.path.as_uri()


def _copied(files: Files, place: Place) -> str:
    """The address of a copy that the server may open: it opens none but those of `fd://` and `/mount`."""
    found = place.path.stat() if place.path.is_file() else None
    if found is None:
        raise MissingFileError(f"{place.url} is not there; only a file can be signed")
    name = hashlib.sha256(f"{place.url} {found.st_mtime_ns} {found.st_size}".encode()).hexdigest()[:16]
    url = f"{FD}signed/{name}/{place.path.name}"
    if not files.place(url).path.is_file():
        files.put(url, place.path)
    return url


def _signed(permit: Permit) -> str:
    from fused_jupyter.runtime import current_server

    server = current_server()
    root = f"{server.origin}{server.base_url}" if server.origin else server.local_url
    if not root:
        raise NoServerError("the address of the Jupyter server is known to the browser only, so nothing can be signed")
    directory = Path(os.path.expanduser(Options.from_environment().data_directory))  # noqa: PTH111 - a Path raises where there is no home
    return f"{root}fused/{permit.address(signing_secret(directory))}"
