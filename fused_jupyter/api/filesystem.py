"""`fd://` for fsspec, and so for pandas, xarray and whatever else opens files by it; fsspec finds it by itself."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileOpener, LocalFileSystem
from fsspec.spec import AbstractFileSystem

from fused_jupyter.storage.fd import FD, ListDetails, current_files


class FdFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files of `fd://`. A file that is written appears when it is closed, whole.

    >>> import fsspec
    >>> with fsspec.open("fd://examples/open.csv", "w") as file:
    ...     _ = file.write("1,2")
    >>> fsspec.filesystem("fd").cat("fd://examples/open.csv")
    b'1,2'
    """

    protocol = "fd"
    root_marker = ""
    cachable = False
    local_file = True

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:  # a path, or a list of them
        if isinstance(path, (list, tuple)):
            return [cls._strip_protocol(each) for each in path]
        return os.fspath(path).removeprefix(FD).strip("/")

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - fsspec's own signature
        """The entries of a directory, or a file itself."""
        del kwargs
        found = current_files().list(FD + self._strip_protocol(path))
        if not found and not self._local(path).is_dir():
            raise FileNotFoundError(path)
        return [_info(entry) for entry in found] if detail else [_info(entry)["name"] for entry in found]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """What is known of a file or directory."""
        del kwargs
        local, name = self._local(path), self._strip_protocol(path)
        if not local.exists():
            raise FileNotFoundError(path)
        status = local.stat()
        kind = "directory" if local.is_dir() else "file"
        return {"name": name, "size": status.st_size, "type": kind, "mtime": status.st_mtime, "ino": status.st_ino}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        del kwargs
        url = FD + self._strip_protocol(path)
        if mode in {"rb", "r"}:
            return LocalFileOpener(str(current_files().file(url)), "rb", fs=LocalFileSystem())
        if mode not in {"wb", "w", "xb", "x"}:
            raise ValueError(f"mode: got {mode!r}, need 'rb' or 'wb'; a file is replaced as a whole")
        if "x" in mode and self._local(path).exists():
            raise FileExistsError(path)
        return _Draft(url)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:  # noqa: FBT001, FBT002 - fsspec's own signature
        """Make a directory."""
        del kwargs
        self._local(path).mkdir(parents=create_parents)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's own signature
        """Make a directory, and those above it."""
        self._local(path).mkdir(parents=True, exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self._local(path).rmdir()

    def rm_file(self, path: str) -> None:
        """Delete a file, or an empty directory: fsspec takes away what is in one before."""
        local = self._local(path)
        if local.is_dir():
            local.rmdir()
        else:
            local.unlink()

    _rm = rm_file

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file."""
        del kwargs
        files = current_files()
        files.put(FD + self._strip_protocol(path2), files.file(FD + self._strip_protocol(path1)))

    def modified(self, path: str) -> Any:
        """When it was changed last."""
        return LocalFileSystem().modified(str(self._local(path)))

    def _local(self, path: str) -> Path:
        return current_files().place(FD + self._strip_protocol(path)).path


class _Draft(io.FileIO):
    """A file on its way into its place."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = current_files().begin(url)
        super().__init__(current_files().draft(url, self._name), "r+b")

    def __exit__(self, *exc: object) -> None:
        if exc[0] is not None:
            self._name, name = "", self._name
            current_files().drop(self._url, name)
        super().__exit__(*exc)  # type: ignore[arg-type]  # as it came

    def close(self) -> None:
        """Put it into its place."""
        is_first = not self.closed
        super().close()
        if is_first and self._name:
            current_files().commit(self._url, self._name)


def _info(entry: ListDetails) -> dict[str, Any]:
    name = entry.url.removeprefix(FD).strip("/")
    modified = entry.last_modified.timestamp() if entry.last_modified else None
    kind = "directory" if entry.is_directory else "file"
    return {"name": name, "size": entry.size or 0, "type": kind, "mtime": modified}
