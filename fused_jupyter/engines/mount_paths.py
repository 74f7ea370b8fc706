"""The mount directory in the code of UDFs: strings with `/mnt/cache` or `/mount` are compiled with the real path.

The source stays as written, and so do its digest, its lines and its docstrings. Only what stands in the code as a
string is seen: of a path that is made of parts while running, such as `"/mnt/" + "cache"`, nothing is known here.
"""

from __future__ import annotations

import ast
import contextlib
from pathlib import PurePath
from typing import Any, TypeVar

from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.mount import PathMap, current_mount

_Function = TypeVar("_Function", ast.FunctionDef, ast.AsyncFunctionDef)

_UNKNOWN = "x"
"""Stands for what an f-string puts before a part of it: a letter, so that no path begins there."""


def path_map_of(source: str) -> PathMap | None:
    """What the paths in a source mean, if it may have any."""
    return current_mount().path_map() if "/mnt" in source or "/mount" in source else None


def with_real_paths(tree: ast.Module, paths: PathMap | None) -> bool:
    """Put the real paths into a program, in its place; whether there was one."""
    if paths is None:
        return False
    visitor = _RealPaths(paths)
    visitor.visit(tree)
    return visitor.found


def make_mount() -> None:
    """Have the directory there: UDFs list it, and write to it, as if it always had been."""
    with contextlib.suppress(ArgumentError):  # the UDF that opens a file there gets the error, with the real path
        current_mount().make()


def real_value(value: Any) -> Any:  # Any: an argument of the user's
    """An argument with the real paths: a text or path, or those in a plain list, tuple or dict."""
    if isinstance(value, str):
        # Of the class of a str too: the member of an enum is what it is.
        return _real(value) if type(value) is str else value
    if isinstance(value, PurePath):
        text = str(value)
        real = _real(text)
        return value if real is text else type(value)(real)
    if type(value) in {list, tuple}:
        made = [real_value(each) for each in value]
        return value if all(map(_is, made, value)) else type(value)(made)
    if type(value) is dict:
        made_values = {key: real_value(each) for key, each in value.items()}
        return value if all(map(_is, made_values.values(), value.values())) else made_values
    return value


def _real(text: str) -> str:
    if not text.startswith(("/m", "file:///m")):
        return text
    real = current_mount().path_map().whole(text)
    if real is not text:
        make_mount()
    return real


def _is(one: object, other: object) -> bool:
    return one is other


class _RealPaths(ast.NodeTransformer):
    def __init__(self, paths: PathMap) -> None:
        self._paths = paths
        self.found = False

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return self._changed(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        for position, part in enumerate(node.values):
            if isinstance(part, ast.Constant):
                self._changed(part, before=_UNKNOWN if position else "")
            elif isinstance(part, ast.FormattedValue):
                self.visit(part.value)  # and not what stands behind its colon
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:  # a string alone is a docstring
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    # What an annotation says is compared with what the caller gave, so it is left as written.
    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._without_returns(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._without_returns(node)

    def _without_returns(self, node: _Function) -> _Function:
        returns, node.returns = node.returns, None
        self.generic_visit(node)
        node.returns = returns
        return node

    def _changed(self, node: ast.Constant, *, before: str = "") -> ast.Constant:
        if isinstance(node.value, str):
            real = self._paths.within(node.value, before=before)
            self.found |= real != node.value
            node.value = real
        return node
