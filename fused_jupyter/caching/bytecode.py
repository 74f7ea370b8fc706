"""What compiled code does, and the names that it reads: the part of a function's key that needs no values.

Compiled code, not source text: it is what runs. A text is what somebody finds later under the file's name, which may be
newer than the function, of another cell, or missing (exec, REPL). Comments, blank lines and places do not count.
"""

from __future__ import annotations

import dis
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

Chain = tuple[str, ...]
"""The attributes that follow a name: `("path", "join")` of `os.path.join`; empty where it stands alone."""

_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_LOCAL = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "STORE_FAST_LOAD_FAST")
"""How the instructions begin; later Pythons join two of them into one with two names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import statement in a function."""

    module: str
    level: int
    """Number of leading dots."""
    names: tuple[str, ...]
    """What stands after `from ... import`."""
    bound: str | None
    """The variable that `import module` fills; None for the other forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Compiled code, with all functions inside it."""

    digest: bytes
    """SHA-256 of what it does."""
    global_names: Mapping[str, tuple[Chain, ...]]
    """Names read from the module, in order, with what follows them."""
    local_names: Mapping[str, tuple[Chain, ...]]
    """The same of variables of this function and of those around it."""
    imports: tuple[Import, ...]


@functools.lru_cache(maxsize=4096)
def scan(code: CodeType) -> Scan:
    """Read compiled code. Equal code is read once."""
    global_names: defaultdict[str, set[Chain]] = defaultdict(set)
    local_names: defaultdict[str, set[Chain]] = defaultdict(set)
    imports: list[Import] = []
    for part in _with_inner(code):
        instructions = list(dis.get_instructions(part))
        for place, instruction in enumerate(instructions):
            name = instruction.opname
            if name == "IMPORT_NAME":
                imports.append(_import(instructions, place))
            elif name in _GLOBAL:
                global_names[instruction.argval].add(_chain(instructions, place))
            elif name.startswith(_LOCAL):
                read = instruction.argval
                for variable in read if isinstance(read, tuple) else (read,):
                    local_names[variable].add(_chain(instructions, place))
    return Scan(
        digest=_digest(code),
        global_names=_sorted(global_names),
        local_names=_sorted(local_names),
        imports=tuple(imports),
    )


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _chain(instructions: Sequence[dis.Instruction], place: int) -> Chain:
    attributes = []
    for following in instructions[place + 1 :]:
        if following.opname not in _ATTRIBUTE:
            break
        attributes.append(following.argval)
    return tuple(attributes)


def _import(instructions: Sequence[dis.Instruction], place: int) -> Import:
    level, names = (instruction.argval for instruction in instructions[place - 2 : place])
    following = instructions[place + 1]
    return Import(
        module=instructions[place].argval,
        level=level,
        names=tuple(names or ()),
        bound=following.argval if following.opname.startswith("STORE_") and isinstance(following.argval, str) else None,
    )


def _sorted(names: Mapping[str, set[Chain]]) -> dict[str, tuple[Chain, ...]]:
    return {name: tuple(sorted(names[name])) for name in sorted(names)}


def _digest(code: CodeType) -> bytes:
    parts: list[Any] = [
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_cellvars,
        code.co_freevars,
        code.co_exceptiontable,
    ]
    return hashlib.sha256(_constant((*parts, *code.co_consts))).digest()


def _constant(value: Any) -> bytes:
    """A constant of the compiler as bytes that say its type too: 1, 1.0 and True differ."""
    if isinstance(value, CodeType):
        content = _digest(value)
    elif isinstance(value, tuple):
        content = b"".join(map(_constant, value))
    elif isinstance(value, frozenset):
        content = b"".join(sorted(map(_constant, value)))  # else it would change with the seed of hashes
    else:
        content = repr(value).encode("utf-8", "backslashreplace")
    return b"%s:%d:%s" % (type(value).__name__.encode(), len(content), content)
