"""The settings and how they are read."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings._machine import allowed_memory

_PRELOAD = (
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "pyarrow.csv",
    "shapely",
    "geopandas",
    "pyogrio",
    "mercantile",
    "xarray",
    "rioxarray",
    "rasterio",
    "rasterio.warp",
    "PIL.Image",
    "isal.isal_zlib",
    "fused_jupyter.formats.encoding",
    "fused_jupyter.formats.mvt.encoder",
    "fused_jupyter.formats.rasters.pictures",
    "fused_jupyter.formats.tabular.tables",
    "fused_jupyter.formats.tabular.arrow",
    "fused_jupyter.engines.worker",
    "fused_jupyter.api",
    "fused_jupyter.caching.functions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of the kernel's side.

    Raises:
        ArgumentError: a value of the wrong kind or out of range.

    >>> Options(workers=4).workers
    4
    """

    workers: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """How many UDFs run at once."""
    spare_workers: int = 1
    """Forked ahead of need; they take over when a worker is killed."""
    tile_timeout: float = 30.0
    """Seconds one tile may run."""
    file_timeout: float = 120.0
    """Seconds one file or `fused.run` may run."""
    queue_timeout: float = 30.0
    """Seconds a call may wait for a worker before it is answered with 503."""
    queue_length: int = 1000
    """Calls that may wait; those with share tokens, together, half as many."""
    client_queue_length: int = 500
    """Calls of one client that may wait: of one map, one page or one program. Clients that wait take turns."""
    token_workers: int = 0
    """Workers that one share token may hold at a time; 0 is all but one, and at least one."""
    max_recursion_factor: int = 5
    """How deep UDFs may run UDFs: one that is run from the notebook or by its address is at depth 0."""
    output_limit: int = 1_000_000
    """Characters of stdout and of stderr kept for each call."""
    response_limit: int = 256_000_000
    """Bytes of one HTTP response."""
    cache_directory: str = field(default_factory=lambda: str(_cache_home() / "fused_jupyter"))
    """Where results are kept."""
    cache_size: int = 2_000_000_000
    """Bytes on disk: for results, and as many again for the values of `@fused.cache`."""
    cache_memory: int = 100_000_000
    """Bytes in memory, of each host."""
    cache_max_age: str = "90d"
    """How long a result answers for itself, where the UDF and the caller say nothing."""
    mount_directory: str = field(default_factory=lambda: str(_data_home() / "fused_jupyter" / "mount"))
    """Where files of UDFs are kept; `/mnt/cache` and `/mount` in their code mean it."""
    data_directory: str = field(default_factory=lambda: str(_data_home() / "fused_jupyter"))
    """Where saved UDFs and tokens are kept."""
    files_directory: str = ""
    """The root of `fd://`; where it is empty, `files` in the data directory."""
    preload: tuple[str, ...] = _PRELOAD
    """Modules that every worker has from its start; with `FUSED_PRELOAD=` there is none, and none is learnt."""
    learn_preload: bool = True
    """Whether installed packages that UDFs import are loaded ahead for the workers that come."""
    start_method: str = "fork"
    """How a worker starts: `fork`, in milliseconds from a process that has loaded `preload`, or `spawn`, in seconds."""
    memory_limit: int = field(default_factory=lambda: allowed_memory() * 4 // 5)
    """Bytes that one call may take, with the processes that it starts; by default 80 % of what this machine or its
    control group allows, and together all calls may take as much. 0 is no limit."""
    recycle_runs: int = 2000
    """Runs after which a worker is replaced, so that what UDFs leak does not add up for ever; 0 is never."""
    recycle_memory: int = 500_000_000
    """Bytes by which a worker may have grown between two runs before it is replaced; 0 is any number."""
    log_level: str = "info"
    """What the host writes into its log: `debug` for each run, `info` for those that failed, were stopped or were slow,
    `error` for those whose process was lost."""
    slow_seconds: float = 10.0
    """A run that takes longer is worth a line in the log."""
    env_file: str = ""
    """Variables for UDFs, one `NAME=value` a line; empty is `.env` in the mount directory."""
    git_mirrors: tuple[str, ...] = ()
    """Local clones that answer for GitHub first: `owner/name=/path`, the path of a clone, or of a directory of them."""
    github_url: str = "https://github.com"
    """Where repositories are that no mirror has; that of a GitHub Enterprise server works too. Empty asks nobody."""
    github_max_age: str = "1h"
    """How long a branch of GitHub means the commit that it was. Commits themselves are kept for ever."""
    catalogues: tuple[str, ...] = (
        "https://github.com/fusedio/udfs/tree/main/public",
        "https://github.com/fusedio/udfs/tree/main",
    )
    """Folders, of this machine or of GitHub, in which `UDF_<Name>`, other accounts' UDFs and shared tokens are looked
    for."""
    shared_udfs: str = ""
    """A JSON file that says what `fsh_…` of others means here: a folder, a name or an address for each. Empty is
    `shared_udfs.json` in the data directory."""
    never_import: bool = False
    """Whether no loaded UDF shows what its code defines, as with `import_globals=False`."""
    secrets_file: str = ""
    """What `fused.secrets` reads; empty is `secrets.json` in the data directory."""
    buckets: tuple[str, ...] = ()
    """Directories that stand for buckets: `s3://name=/path`. `fused.api` and `fused.download` use them."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            kind = _KINDS[str(setting.type)]
            if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
                wanted = " or ".join(one.__name__ for one in kind)
                raise ArgumentError(f"FUSED_{setting.name.upper()}: got {value!r}, need {wanted}")
            if isinstance(value, (int, float)) and value < 0:
                raise ArgumentError(f"FUSED_{setting.name.upper()}: got {value}, need 0 or more")
        if self.workers < 1:
            raise ArgumentError(f"FUSED_WORKERS: got {self.workers}, need at least 1")
        if self.start_method not in _START_METHODS:
            wanted = " or ".join(_START_METHODS)
            raise ArgumentError(f"FUSED_START_METHOD: got {self.start_method!r}, need {wanted}")
        if self.log_level not in _LOG_LEVELS:
            raise ArgumentError(f"FUSED_LOG_LEVEL: got {self.log_level!r}, need {' or '.join(_LOG_LEVELS)}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The defaults, overridden by `FUSED_WORKERS=4` and the like."""
        environment = os.environ if environment is None else environment
        defaults = cls()
        changes = {
            setting.name: _convert(setting.name, text, like=getattr(defaults, setting.name))
            for setting in fields(cls)
            if (text := environment.get(f"FUSED_{setting.name.upper()}")) is not None
        }
        return replace(defaults, **changes)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_json` wrote."""
        fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """All settings, for the host process."""
        return asdict(self)


def setting(name: str) -> Any:  # of whichever kind it is
    """A setting as it is now: of those that are read when they are used.

    >>> setting("never_import")
    False
    """
    variable = f"FUSED_{name.upper()}"
    return _setting(name, *(os.environ.get(each) for each in (variable, "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME")))


@functools.lru_cache(maxsize=256)
def _setting(name: str, text: str | None, *_: str | None) -> Any:
    # Alone: what is wrong with another setting is no fault of this one.
    return getattr(Options.from_environment({} if text is None else {f"FUSED_{name.upper()}": text}), name)


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "tuple[str, ...]": (tuple,),
}

_START_METHODS = ("fork", "spawn")
_LOG_LEVELS = ("debug", "info", "error")

_TRUTHS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}


def _convert(name: str, text: str, *, like: Any) -> Any:  # the kind of the default decides
    try:
        if isinstance(like, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return _TRUTHS[text.strip().lower()] if isinstance(like, bool) else type(like)(text)
    except (ValueError, KeyError) as exc:
        raise ArgumentError(f"FUSED_{name.upper()}: got {text!r}, need {type(like).__name__}, e.g. {like}") from exc


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
