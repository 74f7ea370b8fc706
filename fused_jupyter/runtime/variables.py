"""The kernel's side of `--use`: values of notebook variables, written once to where workers find them.

A file is called as the hash of its content, so the same value is written once, and a changed one is another file. The
directory belongs to this kernel, which holds a lock in it: whoever can take the lock may remove what is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import pickle
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fused_jupyter.caching.folders import network_file_system
from fused_jupyter.caching.packing import packed
from fused_jupyter.engines.variables import part
from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.udfs import UdfDefinition

_PREFIX = "fused-variables-"
_LOCK = "lock"

_RETIRED = 1_000_000_000
"""Bytes of values that only replaced versions use, and that stay for what still runs with them."""

_MANY = 1000
"""Objects of an array from which it becomes a part of its own."""

_GRACE_SECONDS = 60.0
"""For which a directory may be without its lock, as its kernel is just about to make it."""


class Variables:
    """The values that this kernel's UDFs use.

    Args:
        cache_directory: whose disk is used, unless machines share it.
    """

    def __init__(self, cache_directory: Path) -> None:
        self._cache_directory = cache_directory
        self._directory: Path | None = None
        self._lock: IO[bytes] | None = None
        self._parts: dict[str, tuple[str, ...]] = {}
        """By value, the files that it refers to; the oldest value first."""

    @property
    def directory(self) -> str:
        """Where the files are; empty before there is one."""
        return "" if self._directory is None else str(self._directory)

    def keep(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Write values to files, unless they are there; gives by name the hash of each.

        Raises:
            UdfDefinitionError: one cannot be pickled, or there is no room for it.
        """
        return {name: self._keep(name, value) for name, value in values.items()}

    def retire(self, definitions: Iterable[UdfDefinition]) -> None:
        """Remove values that none of these definitions uses, the oldest first; the newest of them stay for a while."""
        used = {digest for definition in definitions for digest in definition.uses.values()}
        retired = [digest for digest in self._parts if digest not in used]
        sizes = {digest: sum(map(self._size, (digest, *self._parts[digest]))) for digest in retired}
        excess = sum(sizes.values()) - _RETIRED
        for digest in retired:
            if excess <= 0:
                return
            excess -= sizes[digest]
            parts = self._parts.pop(digest)
            still = {each for others in self._parts.values() for each in others}
            for name in (digest, *(each for each in parts if each not in still)):
                (self._path / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        self._directory, self._lock = None, None
        self._parts.clear()

    @property
    def _path(self) -> Path:
        if self._directory is None or not self._directory.is_dir():  # somebody may have cleared up
            self.close()
            place = _places(self._cache_directory)[0]
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            self._lock = (self._directory / _LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._directory

    def _size(self, digest: str) -> int:
        with contextlib.suppress(OSError):
            return (self._path / digest).stat().st_size
        return 0

    def _keep(self, name: str, value: Any) -> str:
        try:
            pickled = _Pickled(value)
        except Exception as exc:  # __reduce__ of whatever it is
            kind = type(value)
            raise UdfDefinitionError(
                f"{name!r} is a {kind.__module__}.{kind.__qualname__}, which cannot travel to a worker "
                f'({type(exc).__name__}: {exc}); use data, make it inside the UDF, or set engine="kernel"'
            ) from exc
        try:
            for each in pickled.parts:
                self._write(each)
            digest = self._write(pickled)
        except OSError as exc:
            size = pickled.size + sum(each.size for each in pickled.parts)
            raise UdfDefinitionError(
                f"the {size / 1e6:,.1f} MB of {name!r} cannot be written to {self.directory or 'the disk'}: "
                f"{exc.strerror}; free some room, or set FUSED_CACHE_DIRECTORY to where there is more"
            ) from exc
        self._parts.pop(digest, None)  # it is the newest now
        self._parts[digest] = tuple(each.digest for each in pickled.parts)
        return digest

    def _write(self, pickled: _Pickled) -> str:
        path = self._path / pickled.digest
        if path.exists():
            return pickled.digest
        draft = path.with_suffix(".tmp")
        try:
            with draft.open("wb") as file:
                file.writelines(packed(pickled.stream, pickled.buffers, created=time.time()))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return pickled.digest


def remove_left_variables(cache_directory: Path) -> None:
    """Remove what kernels left that were killed."""
    for directory in _left(cache_directory):
        with contextlib.suppress(OSError):  # a living kernel's, or another process is at it
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = directory / _LOCK
            if not lock.exists():
                if time.time() - status.st_mtime > _GRACE_SECONDS:
                    shutil.rmtree(directory)
                continue
            with lock.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)


def _left(cache_directory: Path) -> Iterator[Path]:
    for place in _places(cache_directory):
        with contextlib.suppress(OSError):
            yield from place.glob(f"{_PREFIX}*")


def _places(cache_directory: Path) -> tuple[Path, ...]:
    """Where directories of variables may be; the first one is for new ones."""
    places = (cache_directory / "variables", Path(tempfile.gettempdir()))
    # Mapped files of a network disk take the process along when they are lost.
    return places if network_file_system(cache_directory) is None else places[::-1]


class _Pickled:
    """A value as a pickle, its arrays beside it, and its parts as pickles of their own."""

    def __init__(self, value: Any, *, has_parts: bool = True) -> None:
        self.parts: list[_Pickled] = []
        self.buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        _pickler(file, self.buffers, self.parts if has_parts else None).dump(value)
        self.stream = file.getvalue()
        self.size = len(self.stream) + sum(buffer.raw().nbytes for buffer in self.buffers)
        content = hashlib.sha256(f"{len(self.stream)}".encode())
        content.update(self.stream)
        for buffer in self.buffers:
            content.update(b"%d" % buffer.raw().nbytes)
            content.update(buffer.raw())
        self.digest = content.hexdigest()


def _pickler(file: IO[bytes], buffers: list[pickle.PickleBuffer], parts: list[_Pickled] | None) -> Any:
    """A pickler for classes and functions of the notebook too, which no other process could import.

    Args:
        file: where it writes.
        buffers: takes the arrays.
        parts: takes what is better pickled apart; None leaves all together.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        def reducer_override(self, obj: Any) -> Any:
            if parts is not None and _is_part(obj):
                parts.append(_Pickled(obj, has_parts=False))
                return part, (parts[-1].digest,)
            return super().reducer_override(obj)

    return Pickler(file, protocol=5, buffer_callback=buffers.append)


def _is_part(value: Any) -> bool:
    """Whether it is a long array of objects that nobody can change, which would take long to rebuild in each call."""
    kind = type(value)
    if kind.__name__ == "GeometryArray" and kind.__module__.startswith("geopandas."):
        return len(value) >= _MANY
    if kind.__name__ != "ndarray" or kind.__module__ != "numpy" or not value.dtype.hasobject or value.size < _MANY:
        return False
    return value.dtype == object and all(_is_fixed(each) for each in {type(element) for element in value.flat})


def _is_fixed(kind: type) -> bool:
    return kind.__name__ in _FIXED.get(kind.__module__.partition(".")[0], ())


_FIXED = {
    "builtins": frozenset({"str", "bytes", "int", "float", "complex", "bool", "NoneType"}),
    "datetime": frozenset({"date", "datetime", "time", "timedelta"}),
    "decimal": frozenset({"Decimal"}),
    "pandas": frozenset({"Timestamp", "Timedelta", "Period", "NaTType", "NAType"}),
    "shapely": frozenset(
        {
            *("Point", "LineString", "LinearRing", "Polygon"),
            *("MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"),
        }
    ),
}
"""By package, classes whose objects nobody can change."""
