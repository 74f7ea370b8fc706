"""The UDFs in a folder, at any depth."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fused_jupyter.api.load import load
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import FusedError

_META = "meta.json"
_MARK = "@fused.udf"
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A UDF, or why there is none where one should be."""

    path: Path
    """The folder or file that `fused.load` takes."""
    name: str
    """Its path below the folder that was searched."""
    udf: Udf | None = None
    error: FusedError | None = None


def found_in(folder: Path) -> Iterator[Found]:
    """Each UDF below a folder, sorted by path; a folder with a `meta.json` is one, else each `.py` file with a mark.

    Args:
        folder: a folder, or a `.py` file.
    """
    for path in _places(folder):
        name = path.relative_to(folder).as_posix() if path != folder else path.name
        try:
            yield Found(path=path, name=name, udf=load(path))
        except FusedError as error:
            yield Found(path=path, name=name, error=error)


def _places(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for directory, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED)
        here = Path(directory)
        if _META in names:
            if _is_udf(here / _META):
                yield here
            continue
        yield from (here / name for name in sorted(names) if name.endswith(".py") and _is_marked(here / name))


def _is_udf(meta: Path) -> bool:
    """Whether it is of a UDF: nodes of a canvas may be notes and widgets. What is no JSON is told as broken."""
    try:
        udf = json.loads(meta.read_bytes())["job_config"]["steps"][0]["udf"]
        kind = udf.get("metadata", {}).get("isNodeTemplate")
    except (ValueError, LookupError, TypeError, AttributeError):
        return True
    return not kind


def _is_marked(path: Path) -> bool:
    try:
        return _MARK in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
