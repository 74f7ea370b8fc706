"""The header modules of a UDF: importable under their names by its own code, and by nobody else.

Import statements of the UDF and of its header modules go through an `__import__` of their own. So they find the modules
of their own UDF in every thread, however late, and whichever other UDF runs meanwhile. `importlib`, pickle and
dataclasses look into `sys.modules`, which the process has once; it shows the modules of the UDF that began last.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
import importlib
import importlib.machinery
import importlib.util
import linecache
import sys
import threading
import types
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

from fused_jupyter.engines.mount_paths import make_mount, path_map_of, with_real_paths
from fused_jupyter.engines.places import is_measured, with_places
from fused_jupyter.storage.mount import PathMap
from fused_jupyter.udfs import UdfDefinition

only_looking = ContextVar("only_looking", default=False)
"""Whether code runs only for what it defines: then nothing of it is registered."""


def remember_lines(definition: UdfDefinition) -> None:
    """Let tracebacks show the lines of a source that is no file."""
    _remember(definition.filename, definition.source)


def remember_all_lines(definition: UdfDefinition) -> None:
    """The same with those of the header modules: another UDF of the same name may have run since."""
    remember_lines(definition)
    for header in definition.headers:
        _remember(_filename(definition, header.module_name), header.source)


def compiled(source: str, filename: str) -> types.CodeType:
    """The source as code, compiled once."""
    code, names_mount = _compiled(source, filename, is_measured=is_measured.get(), paths=path_map_of(source))
    if names_mount:
        make_mount()
    return code


class OwnModules:
    """The modules of one call: the UDF's own, and its header modules, each of which runs when it is first imported.

    Args:
        definition: the UDF.
        module: where its code will run; import statements there find the header modules from now on.
    """

    def __init__(self, definition: UdfDefinition, module: types.ModuleType) -> None:
        self._definition = definition
        self.sources = {header.module_name: header.source for header in definition.headers}
        self.loaded = {module.__name__: module}
        self.names = self.sources.keys() | self.loaded.keys()
        self._loading = threading.RLock()
        if self.sources:
            self._give_import(module)

    def importable(self) -> contextlib.AbstractContextManager[None]:
        """Let others find them too: `importlib`, pickle, dataclasses.

        Modules that have their names already are hidden for as long as this lasts; so are those of a UDF that calls
        this one.
        """
        return _Importable(self)

    def module(self, name: str) -> types.ModuleType:
        """A header module, which has run or, where it is importing the one that asks, is running."""
        with self._loading:
            if name not in self.loaded:
                spec = self.spec(name)
                self.run(importlib.util.module_from_spec(spec))
            return self.loaded[name]

    def spec(self, name: str) -> importlib.machinery.ModuleSpec:
        """How the import system finds a header module."""
        filename = _filename(self._definition, name)
        return importlib.machinery.ModuleSpec(name, _Loader(self), origin=filename)  # type: ignore[arg-type]  # a loader by duck typing, as the import system has it

    def run(self, module: types.ModuleType) -> None:
        """Run the code of a header module in it."""
        name = module.__name__
        filename = _filename(self._definition, name)
        _remember(filename, self.sources[name])
        module.__dict__["fused"] = importlib.import_module("fused_jupyter")
        self._give_import(module)
        self.loaded[name] = module
        _stage.show()  # before it runs: dataclasses look up the module that they are made in
        try:
            exec(compiled(self.sources[name], filename), module.__dict__)  # noqa: S102 - what this product does
        except BaseException:  # whatever the module raises, it is not there then, as with any import
            del self.loaded[name]
            _stage.show()
            raise

    def _give_import(self, module: types.ModuleType) -> None:
        # A copy, and only for those that need it: what a UDF adds to `builtins` later, its own code would not see.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}

    def _import(self, name: str, *others: Any, **named: Any) -> types.ModuleType:
        """`__import__(name, globals, locals, fromlist, level)` for the code of one UDF."""
        level = others[3] if len(others) > 3 else named.get("level", 0)
        top, dot, _ = name.partition(".")
        try:
            if level or top not in self.sources:
                return builtins.__import__(name, *others, **named)
            return _no_submodule(name) if dot else self.module(name)
        except BaseException as exc:
            # A bare `raise` adds no line of its own, so the traceback goes from the import statement to the module.
            exc.__traceback__ = _without_this_file(exc.__traceback__)
            raise


class _Importable(contextlib.AbstractContextManager[None]):
    """The modules of a call, on stage."""

    def __init__(self, own: OwnModules) -> None:
        self._own = own

    def __enter__(self) -> None:
        _stage.enter(self._own)

    def __exit__(self, *_: object) -> None:
        _stage.leave(self._own)


class _Loader:
    """Runs a header module for the import system."""

    def __init__(self, own: OwnModules) -> None:
        self._own = own

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._own.loaded.get(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        self._own.run(module)

    def get_source(self, fullname: str) -> str:
        return self._own.sources[fullname]


class _Stage:
    """What `sys.modules` and `sys.meta_path` show of all UDFs that run: the modules of the one that began last.

    UDFs call others, also from threads, so the one that ends need not be the one that began last.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._running: list[OwnModules] = []
        self._outside: dict[str, types.ModuleType | None] = {}
        """What stands in `sys.modules` under the names of all running UDFs when none of them is shown."""

    def enter(self, own: OwnModules) -> None:
        with self._lock:
            self._look_outside()
            for name in own.names:
                self._outside.setdefault(name, sys.modules.get(name))
            self._running.append(own)
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)
            self.show()

    def leave(self, own: OwnModules) -> None:
        with self._lock:
            self._look_outside()
            self._running.remove(own)
            self.show()
            names = {name for running in self._running for name in running.names}
            self._outside = {name: module for name, module in self._outside.items() if name in names}
            if not self._running:
                with contextlib.suppress(ValueError):  # a UDF may have emptied the list
                    sys.meta_path.remove(self)

    def show(self) -> None:
        with self._lock:
            for name, outside in self._outside.items():
                module = self._shown.loaded.get(name) if self._is_shown(name) else outside
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        with self._lock:
            return self._shown.spec(name) if self._running and name in self._shown.sources else None

    @property
    def _shown(self) -> OwnModules:
        return self._running[-1]

    def _is_shown(self, name: str) -> bool:
        return bool(self._running) and name in self._shown.names

    def _look_outside(self) -> None:
        """A UDF may have imported an installed module that has the name of another UDF's header."""
        for name in self._outside:
            if not self._is_shown(name):
                self._outside[name] = sys.modules.get(name)


_stage = _Stage()  # of the process, as sys.modules is


def _no_submodule(name: str) -> NoReturn:
    raise ModuleNotFoundError(f"No module named {name!r}: a header module is not a package", name=name)


def _filename(definition: UdfDefinition, module_name: str) -> str:
    return f"{definition.filename[:-1]} {module_name}.py>"


@functools.lru_cache(maxsize=256)
def _compiled(source: str, filename: str, *, is_measured: bool, paths: PathMap | None) -> tuple[types.CodeType, bool]:
    tree = ast.parse(source, filename)
    names_mount = with_real_paths(tree, paths)
    return compile(with_places(tree) if is_measured else tree, filename, "exec", dont_inherit=True), names_mount


def _remember(filename: str, source: str) -> None:
    linecache.cache[filename] = _lines(filename, source)


@functools.lru_cache(maxsize=256)
def _lines(filename: str, source: str) -> tuple[int, None, list[str], str]:
    # The last line ends, as in `linecache` itself: tracebacks would mark a place one character too far.
    whole = source if source.endswith("\n") else f"{source}\n"
    return len(source), None, whole.splitlines(keepends=True), filename


def _without_this_file(frame: types.TracebackType | None) -> types.TracebackType | None:
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    return frame
