"""The annotations of a UDF as objects, also those that Python itself could not make.

A UDF often imports what it needs inside the function and still says ``df: pd.DataFrame``. Python makes an annotation
when it makes the function, and then that name is not there. So where an annotation of the entry point has a well-known
name that nothing at the top of the source makes, the compiled code has it in quotes. Those in quotes are read here,
where the well-known names mean what everybody means by them.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import symtable
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fused_jupyter.engines.mount_paths import make_mount, path_map_of, with_real_paths
from fused_jupyter.engines.places import is_measured, with_places
from fused_jupyter.storage.mount import PathMap
from fused_jupyter.udfs import UdfDefinition, decorator_of

_MODULES = {
    "np": "numpy",
    "npt": "numpy.typing",
    "pd": "pandas",
    "gpd": "geopandas",
    "dt": "datetime",
    **{
        name: name
        for name in (
            "datetime", "decimal", "geopandas", "mercantile", "numpy", "pandas", "pathlib", "shapely", "typing", "uuid",
        )
    },
}  # fmt: skip
_CLASSES = {
    name: module
    for module, names in {
        "datetime": ("date", "datetime", "time", "timedelta"),
        "decimal": ("Decimal",),
        "geopandas": ("GeoDataFrame", "GeoSeries"),
        "numpy": ("ndarray",),
        "numpy.typing": ("NDArray",),
        "pandas": ("DataFrame", "Series", "Timedelta", "Timestamp"),
        "pathlib": ("Path",),
        "shapely": ("LineString", "MultiLineString", "MultiPoint", "MultiPolygon", "Point", "Polygon"),
        "shapely.geometry.base": ("BaseGeometry",),
        "typing": (
            "Annotated", "Any", "Dict", "FrozenSet", "Iterable", "List", "Literal", "Mapping", "Optional", "Sequence",
            "Set", "Tuple", "Union",
        ),
        "uuid": ("UUID",),
    }.items()
    for name in names
}  # fmt: skip


def code_of(definition: UdfDefinition) -> types.CodeType:
    """The code of a UDF's module, compiled once."""
    source = definition.source
    code, names_mount = _code(
        source, definition.filename, definition.entrypoint, is_measured=is_measured.get(), paths=path_map_of(source)
    )
    if names_mount:
        make_mount()
    return code


def annotations_of(function: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    """The annotations of the parameters with these names; `Any` where one names what is not there."""
    function = inspect.unwrap(function)
    found = getattr(function, "__annotations__", {})
    scope = getattr(function, "__globals__", {})
    return {name: _resolved(found[name], scope) for name in names if name in found}


@functools.lru_cache(maxsize=256)
def _code(
    source: str, filename: str, entrypoint: str, *, is_measured: bool, paths: PathMap | None
) -> tuple[types.CodeType, bool]:
    """The code, and whether it names the mount directory."""
    tree = ast.parse(source, filename)
    symbols = symtable.symtable(source, filename, "exec").get_symbols()
    made = {each.get_name() for each in symbols if each.is_assigned() or each.is_imported() or each.is_namespace()}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entrypoint:
            _quote(node, unless=made)
            _drop_arguments_of_decorator(node)
    names_mount = with_real_paths(tree, paths)
    return compile(with_places(tree) if is_measured else tree, filename, "exec", dont_inherit=True), names_mount


def _quote(function: ast.FunctionDef, *, unless: set[str]) -> None:
    for owner, field in _places(function):
        annotation = getattr(owner, field)
        names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        if any((name in _MODULES or name in _CLASSES) and name not in unless for name in names):
            setattr(owner, field, ast.copy_location(ast.Constant(ast.unparse(annotation)), annotation))


def _drop_arguments_of_decorator(function: ast.FunctionDef) -> None:
    """They were read in the notebook, and may have names that only the notebook knows."""
    decorator = decorator_of(function)
    if isinstance(decorator, ast.Call):
        function.decorator_list[function.decorator_list.index(decorator)] = decorator.func


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.arg | ast.FunctionDef, str]]:
    """Where the annotations of a function stand in its tree."""
    arguments = function.args
    for argument in (*arguments.args, *arguments.kwonlyargs, arguments.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument, "annotation"
    if function.returns is not None:
        yield function, "returns"


def _resolved(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """The annotation with all that is in quotes made."""
    if type(annotation) is type:
        return annotation
    text = annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else annotation
    if isinstance(text, str):
        return _resolved(_evaluated(text, scope), scope)
    kind = typing.get_origin(annotation)
    if kind is typing.Annotated:
        return _resolved(typing.get_args(annotation)[0], scope)
    return annotation if kind is None or kind is typing.Literal else _rebuilt(annotation, scope)


def _rebuilt(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """The generic with what is between its brackets made."""
    inside = typing.get_args(annotation)
    made = tuple(_resolved(each, scope) for each in inside)
    if all(one is other for one, other in zip(inside, made, strict=True)):
        return annotation
    kind: Any = typing.get_origin(annotation)
    try:
        return (typing.Union if kind is types.UnionType else kind)[made]
    except TypeError:  # no generic that can be made from its parts, such as a Callable
        return annotation


def _evaluated(text: str, scope: Mapping[str, Any]) -> Any:
    try:
        code, modules = _expression(text)
        made = eval(code, {"__builtins__": {}}, _Names(scope, modules))  # noqa: S307 - the UDF's own annotation
    except Exception:  # noqa: BLE001 - whatever it is, it says nothing about the value
        return Any
    return Any if isinstance(made, str) and made == text else made


@functools.lru_cache(maxsize=512)
def _expression(text: str) -> tuple[types.CodeType, frozenset[str]]:
    """The code of an annotation, and the names in it that stand before a dot."""
    tree = ast.parse(text.strip(), "<annotation>", "eval")
    owners = (node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    modules = frozenset(owner.id for owner in owners if isinstance(owner, ast.Name))
    return compile(tree, "<annotation>", "eval", dont_inherit=True), modules


class _Names(dict[str, Any]):
    """What names mean in an annotation: the UDF's own, then Python's, then the well-known ones."""

    def __init__(self, scope: Mapping[str, Any], modules: frozenset[str]) -> None:
        super().__init__()
        self._scope = scope
        self._modules = modules

    def __missing__(self, name: str) -> Any:
        if name in self._scope:
            return self._scope[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        if name in _CLASSES and name not in self._modules:
            return getattr(importlib.import_module(_CLASSES[name]), name)
        return importlib.import_module(_MODULES[name])
