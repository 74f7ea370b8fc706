"""From the text of a cell or a function to a `UdfDefinition`. Reads, never runs."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from typing import Any

from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.udfs.definition import HeaderModule, UdfDefinition
from fused_jupyter.udfs.max_age import parse_max_age
from fused_jupyter.udfs.parameters import parameters_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DECORATORS = frozenset({"udf", "fused.udf", "fused_jupyter.udf"})
_DECORATOR_ARGUMENTS = frozenset(
    {"name", "cache_max_age", "engine", "headers", "instance_type", "disk_size_gb", "region"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What is said outside the source: on the magic's line, or by the caller."""

    name: str | None = None
    headers: tuple[HeaderModule, ...] = ()
    cache_max_age: str | int | None = None
    directory: str = ""


def parse(source: str, choices: Choices | None = None) -> UdfDefinition:
    r"""The UDF in a source text.

    The source holds one function decorated with `@fused.udf`, or one function at all; imports, constants and helper
    functions beside it belong to the UDF.

    Raises:
        UdfDefinitionError: no such function, two of them, a syntax error, or a name that cannot stand in a URL.

    >>> parse("def double(n: int = 2):\n    return 2 * n").signature
    'double(n: int = 2)'
    """
    choices = choices or Choices()
    function = _entrypoint(_tree(source), source, choices.name)
    if isinstance(function, ast.AsyncFunctionDef):
        raise _error(
            source, function, f"{function.name} is `async def`; a UDF is a plain `def`, use asyncio.run inside"
        )
    if function.args.vararg is not None:
        raise _error(
            source, function, f"*{function.args.vararg.arg}: arguments come by name, use **{function.args.vararg.arg}"
        )
    if function.args.posonlyargs:
        raise _error(
            source, function, f"{function.args.posonlyargs[-1].arg}, /: arguments come by name, leave out the /"
        )
    said = _decorator_arguments(function, source)
    if said.get("headers") and not choices.headers:
        raise _error(source, function, "headers of a cell stand on its first line: %%fused_udf --header FILE")
    for header in choices.headers:
        _check_header(header)
    name = choices.name or said.get("name") or function.name
    if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise _error(source, function, f"{name!r} cannot name a UDF: letters, digits and _, not starting with a digit")
    return UdfDefinition(
        name=name,
        entrypoint=function.name,
        source=source,
        headers=choices.headers,
        parameters=parameters_of(function),
        description=ast.get_docstring(function) or "",
        cache_max_age=_max_age(function, source, choices.cache_max_age, said.get("cache_max_age")),
        directory=choices.directory,
    )


def _tree(source: str) -> ast.Module:
    try:
        compile(source, "<udf>", "exec", dont_inherit=True)  # sees more than the parser, e.g. an argument named twice
        return ast.parse(source)
    except SyntaxError as exc:
        text = exc.text or _line(source, exc.lineno or 1)
        hint = "; IPython magics cannot stand in a UDF" if text.lstrip().startswith(("%", "!")) else ""
        message = f"SyntaxError: {exc.msg} (line {exc.lineno}){hint}"
        raise UdfDefinitionError(message, line=exc.lineno, source_line=text) from exc
    except (ValueError, RecursionError, MemoryError) as exc:  # null bytes; thousands of nested brackets
        raise UdfDefinitionError(f"the source cannot be read as Python: {exc}") from exc


def _entrypoint(tree: ast.Module, source: str, name: str | None) -> ast.FunctionDef | ast.AsyncFunctionDef:
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not functions:
        raise UdfDefinitionError("there is no function here; write `def name(...):` and return what the UDF gives")
    decorated = [function for function in functions if _decorator(function) is not None]
    candidates = decorated or functions
    if len(candidates) == 1:
        return candidates[0]
    named = [function for function in functions if function.name in {name, "udf"}]
    if not decorated and len(named) == 1:
        return named[0]
    names = ", ".join(function.name for function in candidates)
    if decorated:
        raise _error(source, candidates[1], f"there are {len(candidates)} UDFs here ({names}); give each its own cell")
    raise _error(source, candidates[1], f"which of {names} is the UDF? Put @fused.udf above it")


def _decorator(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, (ast.Name, ast.Attribute)) and ast.unparse(target) in _DECORATORS:
            return decorator
    return None


def _decorator_arguments(function: ast.FunctionDef, source: str) -> dict[str, Any]:
    decorator = _decorator(function)
    if not isinstance(decorator, ast.Call):
        return {}
    said: dict[str, Any] = {}
    for argument in decorator.keywords:
        if argument.arg not in _DECORATOR_ARGUMENTS:
            known = ", ".join(sorted(_DECORATOR_ARGUMENTS))
            raise _error(source, decorator, f"@fused.udf does not take {argument.arg!r}; it takes {known}")
        try:
            said[argument.arg] = ast.literal_eval(argument.value)
        except (ValueError, TypeError) as exc:
            raise _error(source, decorator, f"@fused.udf({argument.arg}=...) takes a literal value here") from exc
    return said


def _max_age(function: ast.FunctionDef, source: str, chosen: str | int | None, said: Any) -> int | None:
    value = said if chosen is None else chosen
    try:
        return None if value is None else parse_max_age(value)
    except ArgumentError as exc:
        raise _error(source, function, exc.message) from exc


def _check_header(header: HeaderModule) -> None:
    if not header.module_name.isidentifier() or keyword.iskeyword(header.module_name):
        raise UdfDefinitionError(f"header {header.module_name!r}: no name that can be imported; rename the file")
    try:
        _tree(header.source)
    except UdfDefinitionError as exc:
        raise UdfDefinitionError(f"header {header.module_name}: {exc.message}", source_line=exc.source_line) from exc


def _error(source: str, node: ast.stmt | ast.expr, message: str) -> UdfDefinitionError:
    return UdfDefinitionError(
        f"{message} (line {node.lineno})", line=node.lineno, source_line=_line(source, node.lineno)
    )


def _line(source: str, number: int) -> str:
    lines = source.splitlines()
    return lines[number - 1] if 0 < number <= len(lines) else ""
