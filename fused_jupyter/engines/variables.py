"""Variables of the notebook in a UDF: every call gets values of its own, made of files that all processes share.

A large file is mapped, and its arrays lie in the mapping: workers share the pages, and a page that a call writes to
becomes its own. So a call may change what it gets, and the next one sees nothing of it. What takes long to rebuild and
cannot be changed in itself, such as geometries, is rebuilt once in each process; a call gets a list of its own of them.
"""

from __future__ import annotations

import functools
import mmap
import os
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from fused_jupyter.caching.packing import Packed
from fused_jupyter.engines.limits import allow_mapped
from fused_jupyter.errors import UdfRuntimeError
from fused_jupyter.udfs import UdfDefinition

_MAPPED = 256 * 1024
"""Bytes from which a file is mapped, not read."""
_MOST_PARTS = 200_000_000
"""Bytes of the files whose content a process keeps rebuilt."""

_directory: ContextVar[str] = ContextVar("directory")
"""Where the parts of the value lie that is being rebuilt."""


def used_variables(definition: UdfDefinition) -> Mapping[str, Any]:
    """By name, the values that the notebook gave along; others for each call.

    Raises:
        UdfRuntimeError: one is no longer kept, or cannot be rebuilt in this process.
    """
    return {name: _value(definition, name, digest) for name, digest in definition.uses.items()}


def part(digest: str) -> Any:  # an array of objects, of numpy or of geopandas
    """What a pickle means by a part that lies in a file of its own: a list of its own of objects that are shared."""
    return _parts.get(_directory.get(), digest).copy()


def _value(definition: UdfDefinition, name: str, digest: str) -> Any:
    token = _directory.set(definition.uses_from)
    try:
        return _rebuilt(definition.uses_from, digest)
    except (FileNotFoundError, _BrokenError) as exc:
        raise UdfRuntimeError(
            f"the value of {name!r} that {definition.name} was defined with is no longer kept ({exc}); run its cell "
            "again",
            udf=definition.name,
        ) from exc
    except Exception as exc:  # of the class of the value, whatever it raises
        raise UdfRuntimeError(
            f"the notebook's {name!r} cannot be rebuilt in the process of the UDF: {type(exc).__name__}: {exc}; give "
            'data and not objects, load it inside, or set engine="kernel"',
            udf=definition.name,
            child_exception_class=type(exc).__name__,
        ) from exc
    finally:
        _directory.reset(token)


class _BrokenError(Exception):
    """A file that is not as it was written, or that others could have written."""


class _Parts:
    """What this process has rebuilt, the parts used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._size = 0

    def get(self, directory: str, digest: str) -> Any:
        path = f"{directory}/{digest}"
        if path not in self._kept:
            size = os.stat(path).st_size  # noqa: PTH116 - one for each part
            self._kept[path] = _rebuilt(directory, digest), size
            self._size += size
            while self._size > _MOST_PARTS and len(self._kept) > 1:
                _, (_, size) = self._kept.popitem(last=False)
                self._size -= size
        self._kept.move_to_end(path)
        return self._kept[path][0]


_parts = _Parts()  # of the process, as the pages are


def _rebuilt(directory: str, digest: str) -> Any:
    path = f"{directory}/{digest}"
    content = _content(path)
    _check(path)
    stream, buffers = Packed(content).parts
    return pickle.loads(stream, buffers=buffers)  # noqa: S301 - from our kernel, see _check


def _content(path: str) -> memoryview:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - with each call, no Path object needed
        length = os.fstat(file.fileno()).st_size
        if length >= _MAPPED:
            allow_mapped(length)
            return memoryview(mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY))
        content = bytearray(length)
        file.readinto(content)
        return memoryview(content)


@functools.lru_cache(maxsize=1024)
def _check(path: str) -> None:
    """Once in a process, as nobody writes to such a file again.

    Raises:
        _BrokenError: it is not whole, or not ours.
    """
    for place in (path, os.path.dirname(path)):  # noqa: PTH120 - a string is what came
        status = os.stat(place)  # noqa: PTH116 - as above
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise _BrokenError(f"others can write to {place}")
    if not Packed(_content(path)).is_intact:
        raise _BrokenError(f"{path} is damaged")
