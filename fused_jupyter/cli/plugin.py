"""A pytest plugin: `pytest --fused-udfs FOLDER` runs each UDF of a folder as a test of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fused_jupyter.cli.folders import Found

_OPTION, _OFFLINE, _TIMEOUT = "--fused-udfs", "--fused-udfs-offline", "--fused-udfs-timeout"
_ELSEWHERE = frozenset({"needs the network", "needs credentials", "needs Fused's cloud"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of this plugin."""
    group = parser.getgroup("fused", "UDFs of Fused")
    group.addoption(
        _OPTION, action="append", default=[], metavar="FOLDER", help="run each UDF of this folder as a test"
    )
    group.addoption(_OFFLINE, action="store_true", help="skip UDFs that fail for the network or for credentials")
    group.addoption(_TIMEOUT, type=float, default=60.0, metavar="SECONDS", help="for each UDF; default 60")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """One test for each UDF, after those of Python files."""
    folders: Sequence[str] = config.getoption(_OPTION)
    if not folders:
        return
    from fused_jupyter.cli.folders import found_in

    for folder in folders:
        path = config.invocation_params.dir / folder
        if not path.exists():
            raise pytest.UsageError(f"{_OPTION}: there is no {path}")
        items += [
            UdfItem.from_parent(session, name=found.name, path=found.path, found=found) for found in found_in(path)
        ]


class UdfItem(pytest.Item):
    """One UDF; it passes where a run with its defaults ends without an error."""

    def __init__(self, *, found: Found, path: Path, **rest: Any) -> None:
        super().__init__(**rest)
        self.path = path
        self._found = found

    def runtest(self) -> None:
        """Run it."""
        from fused_jupyter.cli.causes import cause_of
        from fused_jupyter.cli.running import outcome_of

        timeout = self.config.getoption(_TIMEOUT)
        outcome = asyncio.run(outcome_of(self._found, {}, timeout=timeout))
        if outcome.failed and self.config.getoption(_OFFLINE) and cause_of(outcome.said) in _ELSEWHERE:
            pytest.skip(outcome.said)
        if outcome.failed:
            raise UdfFailedError(outcome.said)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The error of the UDF, without pytest's own frames."""
        if isinstance(excinfo.value, UdfFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands."""
        return self.path, None, f"UDF {self.name}"


class UdfFailedError(Exception):
    """A UDF that failed."""
