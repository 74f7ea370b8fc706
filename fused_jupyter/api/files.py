"""`fused.download` and `fused.file_path`: files that stay, for all UDFs."""

from __future__ import annotations

import os
import sys

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.mount import check_storage, current_mount


def download(url: str | os.PathLike[str], file_path: str | os.PathLike[str], storage: str = "auto") -> str:
    """Download a file, once.

    The first call fetches it, and all others, from every process and tomorrow, get its path at once. Calls at the same
    time wait for one download. The file appears when it is whole; a download that broke off goes on where it was, if
    the server lets it. Another `url` for the same `file_path` is downloaded anew, and so is a file whose length has
    changed here. The server is not asked whether it has a newer one: delete the file for that.

    Args:
        url: an address with `https://`, `http://`, `s3://` or `gs://`; `fd://`, `file://` or a path copies a file.
        file_path: where it goes, in the mount directory; directories are made.
        storage: `auto`, `mount` or `local`; all mean the mount directory.

    Returns:
        The path of the file.

    Raises:
        DownloadError: it cannot be had; the message says what the server said.
        ArgumentError: `file_path` leaves the mount directory.

    >>> import os, pathlib, tempfile
    >>> there = pathlib.Path(tempfile.mkdtemp(), "letters.csv")
    >>> _ = there.write_text("a,b")
    >>> path = download(there.as_uri(), "examples/letters.csv")
    >>> pathlib.Path(path).read_text()
    'a,b'
    """
    from fused_jupyter.storage.downloads import download as fetch
    from fused_jupyter.storage.progress import Progress

    check_storage(storage)
    mount = current_mount()
    target = mount.target(file_path)
    address = mount.path_map().whole(_text(url))
    mount.make()
    progress = Progress(target.name, sys.stderr, is_live=_is_live(sys.stderr))
    try:
        fetch(address, target, records=mount.records, tell=progress)
    finally:
        progress.close()
    return str(target)


def file_path(file_path: str | os.PathLike[str], mkdir: bool = True, storage: str = "auto") -> str:  # noqa: FBT001, FBT002 - Fused's own signature
    """The path of a file in the mount directory, where files stay and all UDFs find them.

    Args:
        file_path: a relative path. One without a suffix, such as `tiles/2024`, is that of a directory. An absolute path
            is given back.
        mkdir: whether to make the directory: that of the file, or, without a suffix, the path itself.
        storage: `auto`, `mount` or `local`; all mean the mount directory.

    Returns:
        The absolute path.

    Raises:
        ArgumentError: the path leaves the mount directory, or its directory cannot be made.

    >>> path = file_path("results/roads.parquet")
    >>> os.path.isdir(os.path.dirname(path)), os.path.basename(path)
    (True, 'roads.parquet')
    """
    check_storage(storage)
    mount = current_mount()
    path = mount.file(file_path)
    is_file = path.suffix and not os.fspath(file_path).endswith("/")
    if mkdir:
        directory = path.parent if is_file or path.is_file() else path
        if directory.is_relative_to(mount.directory):
            mount.make()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            said = os.fspath(file_path)
            raise ArgumentError(
                f"file_path: the directory of {said!r} cannot be made ({exc.strerror}); choose another"
            ) from exc
    return str(path)


def _text(url: str | os.PathLike[str]) -> str:
    text = os.fspath(url)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ArgumentError(f"url: got {text!r}, need an address, e.g. 'https://example.com/roads.zip'")
    return text.strip()


def _is_live(screen: object) -> bool:
    """Whether a line there can be written again: a terminal, or the output of a cell."""
    is_terminal = getattr(screen, "isatty", lambda: False)
    return bool(is_terminal()) or type(screen).__module__.startswith("ipykernel.")
