"""What a UDF needs, from its code alone."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fused_jupyter.cli.folders import Found, found_in
from fused_jupyter.udfs import UdfDefinition

_ADDRESS = re.compile(r"^(?:https?|s3|gs|az|fd)://[^\s'\"]+|^/(?:mnt/cache|mount)/\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one UDF needs."""

    name: str
    missing: tuple[str, ...] = ()
    """Modules that cannot be imported here."""
    unknown: tuple[str, ...] = ()
    """Names of `fused` that are not here."""
    data: tuple[str, ...] = ()
    """Addresses in its texts."""
    udfs: tuple[str, ...] = ()
    """UDFs that it loads or runs."""
    required: tuple[str, ...] = ()
    """Parameters without a default."""
    error: str = ""
    """Why it cannot be loaded."""

    @property
    def failed(self) -> bool:
        """Whether it cannot run here."""
        return bool(self.missing or self.unknown or self.error)

    def __str__(self) -> str:
        parts = {
            "": (self.error,) if self.error else (),
            "not installed:": self.missing,
            "not in fused:": self.unknown,
            "asks for:": self.required,
            "loads:": self.udfs,
            "data:": self.data,
        }
        said = "  ".join(f"{label} {', '.join(what)}".strip() for label, what in parts.items() if what)
        return f"{'FAIL' if self.failed else 'ok':<5} {self.name}  {said}".rstrip()


def findings(folder: Path) -> Iterator[Finding]:
    """What each UDF below a folder needs; nothing is run."""
    return map(finding_of, found_in(folder))


def finding_of(found: Found) -> Finding:
    """What one UDF needs."""
    if found.udf is None:
        return Finding(name=found.name, error=" ".join(str(found.error).split()))
    definition = found.udf.definition
    trees = [ast.parse(source) for source in (definition.source, *(header.source for header in definition.headers))]
    own = {header.module_name for header in definition.headers}
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return Finding(
        name=found.name,
        missing=_sorted(name for name in _imported(nodes) if name not in own and not _is_there(name)),
        unknown=_sorted(name for name in _of_fused(nodes) if not _is_ours(name)),
        data=_sorted(text for text in _texts(nodes) if _ADDRESS.match(text) and "github.com/" not in text),
        udfs=_sorted(_loaded(nodes)),
        required=_required(definition),
    )


def _sorted(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _imported(nodes: list[ast.AST]) -> Iterator[str]:
    """The top-level modules that it imports."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _is_there(name: str) -> bool:
    if name == "fused" or name in sys.stdlib_module_names:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _of_fused(nodes: list[ast.AST]) -> Iterator[str]:
    """`api.list` for `fused.api.list`: the longest dotted names after `fused`."""
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            names: list[str] = []
            at: ast.expr = node
            while isinstance(at, ast.Attribute):
                names.append(at.attr)
                at = at.value
            if isinstance(at, ast.Name) and at.id == "fused":
                yield ".".join(reversed(names))


def _is_ours(dotted: str) -> bool:
    """Whether `fused` has the name, as far as it goes by modules and classes; what objects have is not known here."""
    import fused_jupyter

    at: object = fused_jupyter
    for name in dotted.split("."):
        if not isinstance(at, type) and not hasattr(at, "__path__") and at is not fused_jupyter:
            return True
        try:
            at = getattr(at, name)
        except AttributeError:
            return False
    return True


def _texts(nodes: list[ast.AST]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _loaded(nodes: list[ast.AST]) -> Iterator[str]:
    """First arguments of `fused.load` and `fused.run`, where they are texts."""
    for node in nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        function, first = node.func, node.args[0]
        is_ours = isinstance(function.value, ast.Name) and function.value.id == "fused"
        name = first.value if isinstance(first, ast.Constant) else None
        if is_ours and function.attr in {"load", "run"} and isinstance(name, str) and "\n" not in name:
            yield name


def _required(definition: UdfDefinition) -> tuple[str, ...]:
    return tuple(
        parameter.name
        for parameter in definition.parameters
        if not (parameter.has_default or parameter.is_spatial or parameter.kind == "variadic")
    )
