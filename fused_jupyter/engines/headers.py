"""The header modules of a UDF: importable under their names while it runs, and by nobody else."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import linecache
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from fused_jupyter.udfs import HeaderModule, UdfDefinition


@contextlib.contextmanager
def importable(definition: UdfDefinition) -> Iterator[None]:
    """Let `import` find the header modules. Each runs when it is first imported, so they may import one another.

    A module of the same name that was imported before is hidden for as long as this lasts.
    """
    headers = {header.module_name: header for header in definition.headers}
    hidden = {name: sys.modules.pop(name) for name in headers if name in sys.modules}
    finder = _Finder(headers, definition.filename)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # a UDF may have emptied the list
            sys.meta_path.remove(finder)
        for name in headers:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def remember_lines(filename: str, source: str) -> None:
    """Let tracebacks show the lines of a source that is no file."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


@functools.lru_cache(maxsize=256)
def compiled(source: str, filename: str) -> types.CodeType:
    """The source as code, compiled once."""
    return compile(source, filename, "exec", dont_inherit=True)


class _Finder:
    """Answers for the names of the headers."""

    def __init__(self, headers: dict[str, HeaderModule], filename: str) -> None:
        self._headers = headers
        self._filename = filename

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        header = self._headers.get(name)
        if header is None:
            return None
        filename = f"{self._filename[:-1]} {name}.py>"
        remember_lines(filename, header.source)
        return importlib.machinery.ModuleSpec(name, _Loader(header, filename), origin=filename)


class _Loader(importlib.abc.InspectLoader):  # its exec_module keeps the import system out of tracebacks
    def __init__(self, header: HeaderModule, filename: str) -> None:
        self._header = header
        self._filename = filename

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__dict__["fused"] = importlib.import_module("fused_jupyter")
        return module

    def get_source(self, fullname: str) -> str:
        return self._header.source

    def get_code(self, fullname: str) -> types.CodeType:
        return compiled(self._header.source, self._filename)
