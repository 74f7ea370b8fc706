"""From the text of a cell or a function to a `UdfDefinition`. Reads, never runs."""

from __future__ import annotations

import ast
import contextlib
import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.udfs.definition import HeaderModule, UdfDefinition
from fused_jupyter.udfs.max_age import parse_max_age
from fused_jupyter.udfs.parameters import Parameter, parameters_of, with_defaults
from fused_jupyter.udfs.texts import plain

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ATTEMPTS = 5
_DECORATORS = frozenset({"udf", "fused.udf", "fused_jupyter.udf"})
_PLACEMENT = ("engine", "instance_type", "disk_size_gb", "region")
_DECORATOR_ARGUMENTS = ("name", "cache_max_age", "default_parameters", "headers", "use", *_PLACEMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What is said outside the source: on the magic's line, or by the caller."""

    name: str | None = None
    entrypoint: str | None = None
    """The function, where there is more than one."""
    headers: tuple[HeaderModule, ...] = ()
    cache_max_age: str | int | None = None
    default_parameters: Mapping[str, Any] | None = None
    placement: Mapping[str, Any] | None = None
    """`engine`, `instance_type`, `disk_size_gb`, `region`."""
    directory: str = ""
    is_decorated: bool = False
    """Whether `@fused.udf` has run: then all that it says stands here, and its text need not be literal."""


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
    tree = _tree(source)
    function = _entrypoint(tree, source, choices)
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
    said = {} if choices.is_decorated else _decorator_arguments(function, source)
    if said.get("headers") and not choices.headers:
        raise _error(source, function, "headers of a cell stand on its first line: %%fused_udf --header FILE")
    for header in choices.headers:
        _check_header(header)
    name = choices.name or said.get("name") or function.name
    try:
        _check_name(name)
    except UdfDefinitionError as exc:
        raise _error(source, function, exc.message) from exc
    parameters = parameters_of(function, tree)
    defaults = said.get("default_parameters") if choices.default_parameters is None else choices.default_parameters
    try:
        defaults = _checked_defaults({} if defaults is None else defaults, parameters)
    except UdfDefinitionError as exc:
        raise _error(source, function, exc.message) from exc
    return UdfDefinition(
        name=name,
        entrypoint=function.name,
        source=source,
        headers=choices.headers,
        parameters=with_defaults(parameters, defaults),
        default_parameters=defaults,
        placement={n: said[n] for n in _PLACEMENT if said.get(n) is not None} | dict(choices.placement or {}),
        description=ast.get_docstring(function) or "",
        cache_max_age=_max_age(function, source, choices.cache_max_age, said.get("cache_max_age")),
        directory=choices.directory,
    )


def renamed(definition: UdfDefinition, name: str) -> UdfDefinition:
    """The same UDF under another name.

    Raises:
        UdfDefinitionError: the name cannot stand in a URL.
    """
    _check_name(name)
    return replace(definition, name=name)


def placed(definition: UdfDefinition, engine: str) -> UdfDefinition:
    r"""The same UDF on another engine.

    >>> double = parse("def double(n: int = 2):\n    return 2 * n")
    >>> placed(double, "kernel").runs_in_kernel
    True
    """
    return replace(definition, placement={**definition.placement, "engine": engine})


def using(definition: UdfDefinition, variables: Mapping[str, str], *, directory: str) -> UdfDefinition:
    """The same UDF with variables of the notebook.

    Args:
        definition: the UDF.
        variables: by name, the hash of the value.
        directory: where the values lie.

    Raises:
        UdfDefinitionError: a parameter has the name of one of them, and would hide it.
    """
    for parameter in definition.parameters:
        if parameter.name in variables:
            raise UdfDefinitionError(
                f"{definition.name} has a parameter {parameter.name!r}, which hides the variable; rename one of them, "
                "or pass it as an argument"
            )
    return replace(definition, uses=dict(variables), uses_from=directory)


def with_default_parameters(definition: UdfDefinition, values: Mapping[str, Any]) -> UdfDefinition:
    r"""The same UDF with these default parameters and no others.

    Raises:
        UdfDefinitionError: one names no parameter, or is nothing that can travel.

    >>> double = parse("def double(n: int = 2):\n    return 2 * n")
    >>> with_default_parameters(double, {"n": 5}).signature
    'double(n: int = 5)'
    """
    tree = _tree(definition.source)
    function = _entrypoint(tree, definition.source, Choices(entrypoint=definition.entrypoint))
    assert isinstance(function, ast.FunctionDef)  # else it would have become no definition
    parameters = parameters_of(function, tree)
    defaults = _checked_defaults(values, parameters)
    return replace(definition, parameters=with_defaults(parameters, defaults), default_parameters=defaults)


def marked_functions(source: str) -> tuple[str, ...]:
    r"""The names of the functions with `@fused.udf`, in order.

    Raises:
        UdfDefinitionError: a syntax error.

    >>> marked_functions("@fused.udf\ndef f(): pass\ndef g(): pass")
    ('f',)
    """
    return tuple(function.name for function in _functions(_tree(source)) if decorator_of(function) is not None)


def declared_headers(source: str, entrypoint: str | None = None) -> Sequence[str | Mapping[str, str]]:
    """What `headers=` in the decorator says.

    Raises:
        UdfDefinitionError: there is no UDF here, or its decorator says what it cannot.
    """
    function = _entrypoint(_tree(source), source, Choices(entrypoint=entrypoint))
    headers: Sequence[str | Mapping[str, str]] = _decorator_arguments(function, source).get("headers") or ()
    return headers


def declared_uses(source: str, entrypoint: str | None = None) -> tuple[str, ...]:
    r"""What `use=` in the decorator says: names of the notebook's variables.

    Raises:
        UdfDefinitionError: there is no UDF here, or its decorator says what it cannot.

    >>> declared_uses("@fused.udf(use='gdf')\ndef f(): return len(gdf)")
    ('gdf',)
    """
    function = _entrypoint(_tree(source), source, Choices(entrypoint=entrypoint))
    return names_to_use(_decorator_arguments(function, source).get("use"))


def names_to_use(said: Any) -> tuple[str, ...]:
    """The names in `use=`: one, several with commas, or a sequence of them.

    Raises:
        UdfDefinitionError: it is nothing of that kind.

    >>> names_to_use("gdf, model"), names_to_use(["gdf"]), names_to_use(None)
    (('gdf', 'model'), ('gdf',), ())
    """
    names = said.split(",") if isinstance(said, str) else () if said is None else said
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in names):
        raise UdfDefinitionError(f'use: got {said!r}, need names of variables, e.g. use=("gdf", "model")')
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _tree(source: str) -> ast.Module:
    try:
        compile(source, "<udf>", "exec", dont_inherit=True)  # sees more than the parser, e.g. an argument named twice
        return _parsed(source)
    except SyntaxError as exc:
        text = exc.text or _line(source, exc.lineno or 1)
        hint = "; IPython magics cannot stand in a UDF" if text.lstrip().startswith(("%", "!")) else ""
        message = f"SyntaxError: {exc.msg} (line {exc.lineno}){hint}"
        raise UdfDefinitionError(message, line=exc.lineno, source_line=text) from exc
    except (ValueError, RecursionError, MemoryError) as exc:  # null bytes; thousands of nested brackets
        raise UdfDefinitionError(f"the source cannot be read as Python: {exc}") from exc


def _parsed(source: str) -> ast.Module:
    for _ in range(_ATTEMPTS):
        # Python 3.11 counts the depth of a tree for all threads together, and may find its own count wrong
        # (python/cpython#106905); then nothing was wrong with the source.
        with contextlib.suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)


def _functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _entrypoint(tree: ast.Module, source: str, choices: Choices) -> ast.FunctionDef | ast.AsyncFunctionDef:
    functions = _functions(tree)
    if not functions:
        raise UdfDefinitionError("there is no function here; write `def name(...):` and return what the UDF gives")
    if choices.entrypoint is not None:
        return _last_of(functions, choices.entrypoint)
    decorated = [function for function in functions if decorator_of(function) is not None]
    candidates = decorated or functions
    if len(candidates) == 1:
        return candidates[0]
    named = [function for function in functions if function.name in {choices.name, "udf"}]
    if not decorated and len(named) == 1:
        return named[0]
    names = ", ".join(function.name for function in candidates)
    if decorated:
        raise _error(source, candidates[1], f"there are {len(candidates)} UDFs here ({names}); give each its own cell")
    raise _error(source, candidates[1], f"which of {names} is the UDF? Put @fused.udf above it")


def _last_of(
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef], name: str
) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """As in Python: a later definition replaces an earlier one."""
    for function in reversed(functions):
        if function.name == name:
            return function
    names = ", ".join(dict.fromkeys(function.name for function in functions))
    raise UdfDefinitionError(f"there is no function {name!r} here; there is {names}")


def decorator_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.expr | None:
    """The `@fused.udf` above a function, if it is there."""
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, (ast.Name, ast.Attribute)) and ast.unparse(target) in _DECORATORS:
            return decorator
    return None


def _decorator_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, source: str) -> dict[str, Any]:
    decorator = decorator_of(function)
    if not isinstance(decorator, ast.Call):
        return {}
    said: dict[str, Any] = {}
    for argument in decorator.keywords:
        if argument.arg not in _DECORATOR_ARGUMENTS:
            raise _error(source, decorator, _unknown_decorator_argument(argument.arg))
        try:
            said[argument.arg] = ast.literal_eval(argument.value)
        except (ValueError, TypeError, RecursionError, MemoryError) as exc:
            raise _error(source, decorator, f"@fused.udf({argument.arg}=...) takes a literal value here") from exc
    return said


def _unknown_decorator_argument(name: str | None) -> str:
    if name is None:
        return "@fused.udf(**...): say each argument by its name"
    near = difflib.get_close_matches(name, _DECORATOR_ARGUMENTS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(sorted(_DECORATOR_ARGUMENTS))}"
    return f"@fused.udf does not take {name!r}; {hint}"


def _checked_defaults(values: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Default parameters as JSON, each the name of a parameter."""
    if not isinstance(values, Mapping):
        raise UdfDefinitionError(f'default_parameters: got {values!r}, need a dict such as {{"n": 3}}')
    names = [parameter.name for parameter in parameters if parameter.kind != "variadic"]
    for name in values:
        if name not in names and len(names) == len(parameters):
            near = difflib.get_close_matches(str(name), names, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(names) or 'no arguments'}"
            raise UdfDefinitionError(f"default_parameters: the UDF has no parameter {name!r}; {hint}")
    try:
        defaults = {str(name): plain(value) for name, value in values.items()}
        orjson.dumps(defaults)  # half a character is a text, and cannot travel
    except (TypeError, ValueError, RecursionError) as exc:
        raise UdfDefinitionError(f"default_parameters: {exc}; give data, e.g. numbers, text, lists, tables") from exc
    return defaults


def _max_age(function: ast.FunctionDef, source: str, chosen: str | int | None, said: Any) -> int | None:
    value = said if chosen is None else chosen
    try:
        return None if value is None else parse_max_age(value)
    except ArgumentError as exc:
        raise _error(source, function, exc.message) from exc


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UdfDefinitionError(f"{name!r} cannot name a UDF: letters, digits and _, not starting with a digit")


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
