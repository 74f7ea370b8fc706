"""The user's own modules in a worker: files beside the notebook, or a project installed in editable form.

They change while workers live. So before a run those that have changed are forgotten, and the next import reads them
anew; and after a run the host is told which ones the UDF may have used, as its result holds only as long as they do.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import os
import re
import sys
import sysconfig
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path, PurePath
from types import CodeType

from fused_jupyter.engines.nesting import File
from fused_jupyter.engines.nesting import state_of as _state
from fused_jupyter.udfs import UdfDefinition

_SEARCHED = 1 << 16
"""Bytes of arguments that are searched for names of modules; larger ones may use them all."""

_HIDDEN = re.compile(r"\b(importlib|__import__|exec|eval|runpy|pickle|cloudpickle|joblib|sys\.modules|fused\.load)\b")
"""Words of code whose imports its text does not show."""


class LocalModules:
    """Those that this process has. One for the whole process; for the main thread."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        """By module, its file as it was just before it was read."""
        self._names: dict[str, frozenset[str] | None] = {}
        """By module, the packages that it imports; None where its text does not tell."""
        self._count = 0
        self._directory = ""
        """Of the last run."""
        sys.path_hooks.insert(0, self._finder)
        for place in [place for place in sys.path_importer_cache if not _is_installed(place)]:
            del sys.path_importer_cache[place]

    def forget_changed(self, directory: str = "") -> None:
        """Before a run: where one has changed, forget all, as they import each other.

        So too where the run is of another directory, which may have another module of the same name.
        """
        before, self._directory = self._directory, directory
        if before == directory and all(_state(path) == (path, *state) for path, *state in self._files.values()):
            return
        is_known = len(sys.modules) == self._count
        for name in self._files:
            sys.modules.pop(name, None)
        self._files.clear()
        self._names.clear()
        self._count = len(sys.modules) if is_known else 0
        importlib.invalidate_caches()

    def used(self, definition: UdfDefinition, pickled: bytes | memoryview) -> tuple[File, ...]:
        """After a run: those that it may have used.

        Args:
            definition: what ran.
            pickled: its arguments, which may be objects of classes that its code does not name; empty where they
                were text.
        """
        self.look_for_others()
        if not self._files:
            return ()
        loaded = {name: file for name, file in self._files.items() if name in sys.modules}
        reached = self._reached(definition) if len(pickled) <= _SEARCHED else None
        if reached is not None:
            content = bytes(pickled)  # has the names of modules as they are
            reached |= {top for name in loaded if (top := name.partition(".")[0]).encode() in content}
            loaded = {name: file for name, file in loaded.items() if name.partition(".")[0] in reached}
        return tuple(sorted(loaded.values()))

    def _reached(self, definition: UdfDefinition) -> set[str] | None:
        """The packages that code imports, and those that these import; None where the text does not tell."""
        texts = (definition.source, *(header.source for header in definition.headers))
        waiting = [_imported(text) for text in texts]
        reached: set[str] = set()
        while waiting:
            names = waiting.pop()
            if names is None:
                return None
            fresh = names - reached
            reached |= fresh
            waiting += [names for name, names in self._names.items() if name.partition(".")[0] in fresh]
        return reached

    def _finder(self, place: str) -> FileFinder:
        """How modules in a folder are found, in place of Python's own way."""
        if _is_installed(place) or not os.path.isdir(place or "."):  # noqa: PTH112 - called for each new place of sys.path
            raise ImportError(place)
        return FileFinder(
            place,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (functools.partial(_Loader, self), SOURCE_SUFFIXES),  # type: ignore[arg-type]  # called as the class would be
        )

    def note(self, name: str, file: File, source: bytes) -> None:
        """A module is about to run."""
        self._files[name] = file
        self._names[name] = _imported(source.decode(errors="replace"))

    def look_for_others(self) -> None:
        """Note those that came another way, such as by the finder of an editable project, or before this was made."""
        if len(sys.modules) == self._count:
            return
        for name, module in tuple(sys.modules.items()):
            if name in self._files or name == "__main__":
                continue
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(origin, str) and origin.endswith(".py") and not _is_installed(origin):
                with contextlib.suppress(OSError):
                    self._files[name] = _state(origin)
                    self._names[name] = None
        self._count = len(sys.modules)


class _Loader(SourceFileLoader):
    """Reads the source each time: compiled files go by seconds, and an editor is faster."""

    def __init__(self, modules: LocalModules, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._modules = modules

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        file = _state(path)
        source = self.get_data(path)
        self._modules.note(fullname, file, source)
        return self.source_to_code(source, path)


@functools.lru_cache(maxsize=256)
def _imported(source: str) -> frozenset[str] | None:
    """The packages that a source imports anywhere; None where its text does not tell."""
    if _HIDDEN.search(source):
        return None
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return frozenset(names)


@functools.lru_cache(maxsize=4096)
def _is_installed(place: str) -> bool:
    """Whether files there are Python's, an installed package's or ours."""
    if place.startswith(("<frozen ", *_INSTALLED)) or f"{place}{os.sep}" in _INSTALLED:
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(PurePath(place).parts)


_INSTALLED = (
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")),
    str(Path(__file__).parents[1]) + os.sep,
)
