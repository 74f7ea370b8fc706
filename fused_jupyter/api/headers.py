"""Header modules, in the forms in which users give them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.udfs import HeaderModule

Header = str | os.PathLike[str] | Mapping[str, str] | HeaderModule
"""A path of a Python file, a module with its text, or a file with the name that it gets."""


def header_modules(headers: Sequence[Header]) -> tuple[HeaderModule, ...]:
    """Header modules from paths of Python files or from their text.

    Raises:
        UdfDefinitionError: a file is not there, or it is nothing of these.

    >>> header_modules([{"module_name": "units", "source_code": "KM = 1000"}])
    (HeaderModule(module_name='units', source='KM = 1000'),)
    """
    return tuple(_module(header) for header in headers)


def _module(header: Header) -> HeaderModule:
    if isinstance(header, HeaderModule):
        return header
    if isinstance(header, (str, os.PathLike)):
        return _of_file(Path(header))
    try:
        if header.get("source_code") is None:
            return _of_file(Path(header["source_file"]), header.get("module_name"))
        return HeaderModule(module_name=header["module_name"], source=header["source_code"])
    except (KeyError, AttributeError) as exc:
        raise UdfDefinitionError(
            f'header {header!r}: need the path of a Python file, or {{"module_name": ..., "source_code": ...}}'
        ) from exc


def _of_file(path: Path, name: str | None = None) -> HeaderModule:
    try:
        return HeaderModule(module_name=name or path.stem, source=path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise UdfDefinitionError(f"header {str(path)!r}: {why or exc}; give the path from {Path.cwd()}") from exc
