"""Places in a UDF's code at which a sampler can look, one after each statement. Only in the code of a measured run.

Python lets another thread in only at calls and at the ends of loops. `numbers + numbers` is neither: without a place
behind it, the next line that calls something would have its time, and of a loop only the last line would have any.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

is_measured: ContextVar[bool] = ContextVar("is_measured", default=False)
"""Whether code that is compiled now will be watched by a sampler."""

_RETURNED = "__fused_returned__"
_HEADS = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith)
_SILENT = (ast.Return, ast.Raise, ast.Break, ast.Continue, ast.Pass, ast.Global, ast.Nonlocal)
"""Statements after which nothing is reached, or for which nothing is done."""


def with_places(tree: ast.Module) -> ast.Module:
    """The same program with a place after each statement; line numbers stay.

    A module that uses numba stays as it is, since numba knows only part of the language.
    """
    if any(_imports_numba(node) for node in ast.walk(tree)):
        return tree
    spaced: ast.Module = ast.fix_missing_locations(_Places().visit(tree))
    return spaced


class _Places(ast.NodeTransformer):
    """Adds the places to every body."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list) and body:
                setattr(node, name, [*_entered(node, name), *_spaced(body)])
        return node


def _entered(node: ast.AST, name: str) -> list[ast.stmt]:
    """A place for what a loop, a condition or a context does before its body begins."""
    if isinstance(node, ast.If) or (name == "body" and isinstance(node, _HEADS)):
        return [_place(node)]
    return []


def _spaced(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.Return) and statement.value is not None:
            kept = ast.Assign(targets=[ast.Name(_RETURNED, ast.Store())], value=statement.value)
            returned = ast.Return(value=ast.Name(_RETURNED, ast.Load()))
            yield ast.copy_location(kept, statement)
            yield _place(statement)
            yield ast.copy_location(returned, statement)
            continue
        yield statement
        if not isinstance(statement, _SILENT) and not _must_come_first(statement):
            yield _place(statement)


def _place(after: ast.stmt) -> ast.stmt:
    # A call costs a dozen nanoseconds, needs no name, which the UDF could have given to something else, and lets in.
    place = ast.Expr(ast.Call(ast.Attribute(ast.Constant(0), "bit_length", ast.Load()), [], []))
    place.lineno = place.end_lineno = after.lineno
    place.col_offset = place.end_col_offset = after.col_offset
    return place


def _must_come_first(statement: ast.stmt) -> bool:
    """A docstring, or an import from the future."""
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def _imports_numba(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "numba"
    return isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "numba" for alias in node.names)
