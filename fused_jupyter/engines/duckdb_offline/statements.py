"""SQL as it came, but for what it asks of the internet."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from fused_jupyter.engines.duckdb_offline.h3_functions import give_functions

_MAY_BE_MEANT = re.compile(r"\b(install|load)\b", re.IGNORECASE)
_STATEMENT = re.compile(
    r"\s*(?P<what>(?:FORCE\s+)?INSTALL|LOAD)\s+(?P<quote>['\"]?)(?P<name>\w+)(?P=quote)(?:\s+FROM\s+\S+)?\s*",
    re.IGNORECASE,
)
_NOTHING = "SET python_scan_all_frames=true"
"""In place of statements that are not needed."""


def prepared(connection: Any, sql: Any) -> Any:
    """The same SQL, with extensions from packages, and without those that functions stand in for.

    Args:
        connection: where it will run; functions are registered on it before.
        sql: whatever the UDF gave; only text is looked at.
    """
    if not isinstance(sql, str) or not _MAY_BE_MEANT.search(sql):
        return sql
    try:
        statements = [statement.query for statement in connection.extract_statements(sql)]
    except Exception:  # noqa: BLE001 - DuckDB will say what is wrong with it
        return sql
    changed = [_changed(connection, statement) for statement in statements]
    if changed == statements:
        return sql
    return ";".join(statement for statement in changed if statement) or _NOTHING


def _changed(connection: Any, statement: str) -> str:
    """A statement, or what takes its place; empty where nothing has to be done."""
    # extract_statements leaves the comments of a file at its statements.
    match = _STATEMENT.fullmatch(
        re.sub(r"^(\s*--[^\n]*\n|\s*/\*.*?\*/)+", "", statement, flags=re.DOTALL).rstrip("; \n")
    )
    if match is None:
        return statement
    name, is_load = match["name"].lower(), match["what"].upper() == "LOAD"
    if (file := _packaged(name)) is not None:
        # By its path, and not installed: a statement before it may set another home directory.
        return f"LOAD '{file}'" if is_load else ""
    if name in _installed(connection):
        return statement if is_load else ""
    if name == "h3":
        give_functions(connection)
        return ""
    return statement


def _installed(connection: Any) -> set[str]:
    rows = connection._fused_execute(  # noqa: SLF001
        "SELECT extension_name FROM duckdb_extensions() WHERE installed OR loaded"
    ).fetchall()
    return {name for (name,) in rows}


def _packaged(name: str) -> Path | None:
    """The file of an extension in its package, as `duckdb-extension-spatial` has it; it fits one version of DuckDB."""
    import duckdb

    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = sorted(Path(place).rglob(f"v{duckdb.__version__}/**/{name}.duckdb_extension"))
        if found:
            return found[0]
    return None
