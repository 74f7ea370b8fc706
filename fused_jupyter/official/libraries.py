"""`fused.utils`: public UDFs by their names, as 2024's code calls them: `fused.utils.common.get_tiles(...)`.

Today's code says `common = fused.load("https://github.com/fusedio/udfs/tree/<commit>/public/common/")`, which stays
the same tomorrow; this takes what the catalogue has now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fused_jupyter.api.found import in_catalogues
from fused_jupyter.api.load import LoadedUdf
from fused_jupyter.errors import UnknownUdfError

_NO_LIBRARY = ("_", "pytest_", "setup_", "setUp", "teardown_", "tearDown", "load_tests", "collect_ignore")
"""What the import system and test runners ask of every module: no catalogue is searched for it."""


class Library:
    """The functions of a UDF, wherever in it they stand: beside it, or in its header module `utils`."""

    def __init__(self, udf: LoadedUdf) -> None:
        self._udf = udf

    def __getattr__(self, name: str) -> Any:  # whatever the UDF defines
        if name.startswith("_"):
            raise AttributeError(f"a library has no attribute {name!r}", name=name, obj=self)
        utils = getattr(self._udf, "utils", None) if self._udf.headers else None
        return getattr(utils, name) if hasattr(utils, name) else getattr(self._udf, name)

    def __dir__(self) -> Iterable[str]:
        return dir(self._udf)

    def __repr__(self) -> str:
        return f"<fused.utils.{self._udf.name}>"


def __getattr__(name: str) -> Library:
    if name.startswith(_NO_LIBRARY):
        raise AttributeError(f"module 'fused.utils' has no attribute {name!r}")
    try:
        return Library(LoadedUdf(in_catalogues(name)))
    except UnknownUdfError as exc:
        raise AttributeError(
            f"fused.utils.{name}: {exc.message}. fused.load(address of GitHub) loads a library at a commit"
        ) from exc
