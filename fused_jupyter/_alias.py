"""The name `fused`: an alias of this package, module by module; `fused.api` and `fused_jupyter.api` are one object."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_OURS = "fused_jupyter"
_ALIAS = "fused"
_ELSEWHERE = {
    "fused._auth": "fused_jupyter.api.credentials",
    "fused._optional_deps": "fused_jupyter.official.optional_deps",
    "fused.h3": "fused_jupyter.official.h3",
    "fused.models": "fused_jupyter.official.models",
    "fused.utils": "fused_jupyter.official.libraries",
    "fused.warnings": "fused_jupyter.official.warnings",
}
"""Modules of the official package that people import from, and where what they want is here."""


class _Loader:
    """Puts the module that exists already under its second name."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import system takes what stands in sys.modules afterwards, not the empty module it made.
        real = _real(module.__name__)
        sys.modules[module.__name__] = importlib.import_module(real)
        _mirror(real)


class _Finder:
    """Answers for `fused` and all below it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _ALIAS and not name.startswith(f"{_ALIAS}."):
            return None
        real = importlib.util.find_spec(_real(name))
        if real is None:
            return None
        return importlib.machinery.ModuleSpec(name, _Loader(), is_package=real.submodule_search_locations is not None)  # type: ignore[arg-type]  # a loader by duck typing, as the import system has it


def _real(name: str) -> str:
    for theirs, ours in _ELSEWHERE.items():
        if name == theirs or name.startswith(f"{theirs}."):
            return ours + name.removeprefix(theirs)
    return _OURS + name.removeprefix(_ALIAS)


def install() -> bool:
    """Make `import fused` mean this package.

    Returns:
        False, and nothing done, where the official package was imported already: code that uses it must not change
        under its feet.
    """
    official = sys.modules.get(_ALIAS)
    if official is not None and official is not sys.modules[_OURS]:
        return False
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _mirror(_OURS)
    return True


def _mirror(real: str) -> None:
    """Put a module and all below it that is loaded under the second name.

    Below it too: else `import fused.api.udf` would bind the module in its package, in place of the function `udf`.
    """
    for name in [name for name in sys.modules if name == real or name.startswith(f"{real}.")]:
        sys.modules[_ALIAS + name.removeprefix(_OURS)] = sys.modules[name]


def uninstall() -> None:
    """Let `import fused` mean again what it meant."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in [name for name in sys.modules if name == _ALIAS or name.startswith(f"{_ALIAS}.")]:
        if sys.modules[name].__name__.startswith(_OURS):
            del sys.modules[name]
