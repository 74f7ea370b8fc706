"""The content of functions: what their code does, and all that it reaches.

That is closure, defaults, global constants, helpers, and the helpers of those, in whichever module they stand. What is
installed counts by its name and by when that was. A connection or a lock that code reaches counts by its class. What is
looked up by a name that only running tells (`getattr`, `globals()`, `eval`) cannot be seen.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import CellType, FunctionType, ModuleType
from typing import Any

import fused_jupyter
from fused_jupyter.caching.bytecode import Chain, Import, scan
from fused_jupyter.caching.contents import DATA, Digester, Family, Handler, Value, data_handler

_ALL_OF_IT: tuple[Chain, ...] = ((),)


class _Missing:
    """Stands for the value of a name that has none."""


def start_digest() -> Digester:
    """An empty digest that takes data and code."""
    return Digester(_handler_of)


def add_function(digest: Digester, function: Any) -> None:  # anything that can be called
    """Add a function with all that it reaches."""
    with _code(digest):
        digest.add(function)


@contextlib.contextmanager
def _code(digester: Digester) -> Iterator[None]:
    """Among what code reaches, a connection is no error."""
    before, digester.is_lenient = digester.is_lenient, True
    yield
    digester.is_lenient = before


def _function(digester: Digester, function: FunctionType) -> None:
    digester.once(function)
    if function.__code__.co_filename == _WRAPPERS:  # what `@fused.cache` made: how it is kept is not what it gives
        digester.add(function.__wrapped__)  # type: ignore[attr-defined]  # functools.wraps
        return
    with _code(digester):
        if _is_installed(function.__code__.co_filename):
            _installed(digester, function.__globals__.get("__name__", ""), function.__qualname__)
            # A decorator of a library: in its closure is the user's function.
            digester.add([_content_of(cell) for cell in function.__closure__ or ()])
            return
        found = scan(function.__code__)
        digester.put(b"code", found.digest)
        digester.add(function.__defaults__)
        digester.add(function.__kwdefaults__)
        digester.add(_annotations(function))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            _read(digester, name, _content_of(cell), found.local_names.get(name, _ALL_OF_IT))
        for name, chains in found.global_names.items():
            if name in function.__globals__:
                _read(digester, name, function.__globals__[name], chains)
            elif name not in _builtins(function):
                _read(digester, name, _Missing, chains)
        for statement in found.imports:
            _import(digester, function, statement, found.local_names.get(statement.bound or "", _ALL_OF_IT))


def _read(digester: Digester, name: str, value: Value, chains: tuple[Chain, ...]) -> None:
    """Add what a name means; of a module that is not installed, only what the code takes from it."""
    digester.put(b"read", name.encode())
    if not isinstance(value, ModuleType) or _is_installed(_place(value)):
        digester.add(value)
        return
    for chain in chains:
        part: Value = value
        for attribute in chain:
            if not isinstance(part, ModuleType):
                break
            try:
                part = getattr(part, attribute)
            except Exception:  # noqa: BLE001 - a module may have a __getattr__ of its own
                part = _Missing
        digester.put(b"part", ".".join(chain).encode())
        digester.add(part)


def _import(digester: Digester, function: FunctionType, statement: Import, chains: tuple[Chain, ...]) -> None:
    """Add what an import statement in the function gives.

    What is not installed is imported here already, as the function would: else its key would be another one after the
    first call.
    """
    space = function.__globals__
    try:
        name = importlib.util.resolve_name("." * statement.level + statement.module, space.get("__package__"))
        if _is_installed(_place_of(name.partition(".")[0])):
            _installed(digester, name, " ".join(statement.names))
            return
        leaf = ("__name__",) if statement.bound is None else ()
        importer = _builtins(function)["__import__"]  # a UDF has its own, which finds its header modules
        module = importer(statement.module, space, None, statement.names or leaf, statement.level)
    except Exception:  # noqa: BLE001 - the function will say so, or knows another way
        name, module = statement.module, _Missing
    _read(digester, name, module, tuple((part,) for part in statement.names) or chains)


def _module(digester: Digester, module: ModuleType) -> None:
    digester.once(module)
    if _is_installed(_place(module)):
        _installed(digester, module.__name__, "")
        return
    with _code(digester):
        _members(digester, {name: part for name, part in vars(module).items() if not name.startswith("__")})


def _class(digester: Digester, kind: type) -> None:
    digester.once(kind)
    module = sys.modules.get(kind.__module__)
    if module is not None and _is_installed(_place(module)):
        _installed(digester, kind.__module__, kind.__qualname__)
        return
    with _code(digester):
        digester.put(b"class", kind.__qualname__.encode())
        digester.add(type(kind))
        digester.add(kind.__bases__)
        _members(digester, {name: part for name, part in vars(kind).items() if name not in _NOT_OF_CLASSES})


def _members(digester: Digester, members: dict[str, Value]) -> None:
    names = sorted(members)
    digester.add(names)
    for name in names:
        digester.add(members[name])


_NOT_OF_CLASSES = frozenset(
    {
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)
"""What Python notes in a class, which is of the place where it stands, or of no order."""


def _inside(*attributes: str) -> Handler:
    """Adds what an object is made around."""

    def add(digester: Digester, value: Value) -> None:
        digester.add(type(value))
        for attribute in attributes:
            digester.add(getattr(value, attribute))

    return add


_CODE: dict[Family, Handler] = {
    ("builtins", "function"): _function,
    ("builtins", "module"): _module,
    ("builtins", "type"): _class,
    ("builtins", "staticmethod"): _inside("__func__"),
    ("builtins", "classmethod"): _inside("__func__"),
    ("builtins", "property"): _inside("fget", "fset", "fdel"),
    ("functools", "cached_property"): _inside("func"),
    ("functools", "_lru_cache_wrapper"): _inside("__wrapped__"),
    ("numba", "Dispatcher"): _inside("py_func"),
}


@functools.lru_cache(maxsize=1024)
def _handler_of(kind: type) -> Handler:
    return data_handler(kind, DATA | _CODE)


def _content_of(cell: CellType) -> Value:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was not given a value yet
        return _Missing


def _annotations(function: FunctionType) -> dict[str, Any]:
    try:
        return function.__annotations__  # decorators read them
    except Exception:  # noqa: BLE001 - Python 3.14 makes them when they are asked for
        return {}


def _builtins(function: Any) -> dict[str, Any]:  # Any: the attribute is there since Python 3.10, in not all stubs
    found: dict[str, Any] = function.__builtins__
    return found


# -- what is installed


def _installed(digester: Digester, module: str, name: str) -> None:
    digester.put(b"installed", f"{module}:{name}".encode())
    digester.put(b"", _stamp(module.partition(".")[0]))


@functools.lru_cache(maxsize=1024)
def _stamp(package: str) -> bytes:
    """Date and size of a package's first file: every installer writes it anew. Versions are not always told."""
    try:
        status = os.stat(_place_of(package))  # noqa: PTH116 - on the way of every hit
    except (OSError, ValueError):  # built in, or in an archive
        return b""
    return b"%d %d" % (status.st_mtime_ns, status.st_size)


def _place_of(package: str) -> str:
    if (module := sys.modules.get(package)) is not None:
        return _place(module)
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    return "" if spec is None else _origin(spec)


def _place(module: ModuleType) -> str:
    """Where a module comes from; empty where nobody knows, as for a notebook."""
    file: str | None = getattr(module, "__file__", None)
    return file or _origin(getattr(module, "__spec__", None))


def _origin(spec: Any) -> str:  # a module may have anything there
    folders = getattr(spec, "submodule_search_locations", None) or [""]
    return getattr(spec, "origin", None) or next(iter(folders), "")


@functools.lru_cache(maxsize=4096)
def _is_installed(place: str) -> bool:
    if place in {"built-in", "frozen"} or place.startswith(("<frozen ", _OWN, *_STANDARD)):
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(PurePath(place).parts)


_STANDARD = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
_OWN = str(Path(fused_jupyter.__file__).parent) + os.sep
_WRAPPERS = str(Path(__file__).with_name("functions.py"))
