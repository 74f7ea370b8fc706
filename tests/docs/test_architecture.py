"""What the documentation says of the code is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fused_jupyter import errors

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"[\w.-]+(?:/[\w.-]+)+", TEXT)))
ROWS = re.findall(r"^\| `([\w/.]+)` \| (.+?) \|", TEXT, re.MULTILINE)
CODE = [(path, name) for path, names in ROWS for name in re.findall(r"`([\w.]+)`", names)]


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith(("fused_jupyter/", "js/"))])
def test_every_path_in_the_architecture_exists(path: str) -> None:
    """A file that moved moves in the documentation too."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("path", "name"), CODE, ids=[f"{Path(path).stem}-{name}" for path, name in CODE])
def test_every_name_in_the_trace_is_defined_in_its_file(path: str, name: str) -> None:
    """The trace of a tile names functions and methods that are there."""
    assert name in defined_names(ast.parse((ROOT / path).read_text(encoding="utf-8")))


def test_the_trace_was_read() -> None:
    """A change of the table's form must not make the tests above say nothing."""
    assert len(CODE) >= 20


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    """README and CONTRIBUTING are read on the forge, where MkDocs checks nothing."""
    path = ROOT / document if (ROOT / document).exists() else ROOT / "docs" / document
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))

    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("error", errors._BY_NAME.values(), ids=lambda error: error.__name__)
def test_every_error_stands_in_the_reference_with_its_status(error: type[errors.FusedError]) -> None:
    """What a client may meet is documented."""
    text = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")

    assert f"| `{error.__name__}` | {error.status} |" in text


def defined_names(tree: ast.Module) -> set[str]:
    """Functions and classes of a module, methods as ``Class.method``."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, kinds)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return names | {f"{cls.name}.{node.name}" for cls in classes for node in cls.body if isinstance(node, kinds)}
