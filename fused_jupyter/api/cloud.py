"""What only Fused's cloud can do: the names are there, and whoever calls one is told what to use here."""

from __future__ import annotations

from typing import Any, NoReturn

from fused_jupyter.errors import CloudOnlyError


class CloudOnly:
    """A function of Fused's cloud. It can be imported and passed on; to call it is an error.

    Args:
        name: its whole name.
        instead: what to use here, as the end of a sentence.

    >>> CloudOnly("fused.h3.query", "use DuckDB")()
    Traceback (most recent call last):
    fused_jupyter.errors.CloudOnlyError: fused.h3.query is done by Fused's cloud only; use DuckDB
    """

    def __init__(self, name: str, instead: str) -> None:
        self.__name__ = name.rpartition(".")[2]
        self.__qualname__ = name
        self.__doc__ = f"{name} is done by Fused's cloud only; {instead}"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Say that it is not there, and what is."""
        raise CloudOnlyError(str(self.__doc__))

    def __repr__(self) -> str:
        return f"<{self.__qualname__}: of Fused's cloud only>"


_JOBS = "run the UDF with fused.run, or many times with fused.submit and udf.map([...]), which work on this machine"
_TABLES = (
    "write GeoParquet by geopandas' to_parquet(..., write_covering_bbox=True), sorted along a space-filling curve, and "
    "read parts of it with read_parquet(..., bbox=...)"
)
_INDEX = "read the Parquet files with geopandas, DuckDB or pyarrow; fused.get_chunks_metadata reads Fused's own tables"
_HEXAGONS = "DuckDB with its h3 functions, and the package h3, do it in a UDF: INSTALL h3 FROM community; LOAD h3"
_CRON = "let cron, or a scheduled notebook, ask the UDF's address"
_CANVAS = "share a UDF with udf.create_access_token(), or a collection with fused.api.create_collection_access_token"
_OTHERS = "there is one user here, and no accounts: fused.api.whoami() and fused.api.get_udfs() tell what there is"


def _service(name: str, package: str) -> str:
    return f"keep the key with fused.secrets[{name!r}] = '…', and use the package {package} with it"


_FUSED = {
    "_env": "the settings of this place are fused.options, and its address fused.options.base_url",
    "_fasttortoise": _INDEX,
    "find_dataset": _INDEX,
    "ingest": _TABLES,
    "ingest_nongeospatial": "write Parquet by pandas' to_parquet",
    "register_dataset": _INDEX,
}
_SERVICES = {
    "airtable": "pyairtable",
    "anthropic": "anthropic",
    "daytona": "daytona",
    "dropbox": "dropbox",
    "hubspot": "hubspot-api-client",
    "huggingface": "huggingface_hub",
    "modal": "modal",
    "notion": "notion-client",
    "onedrive": "msgraph-sdk",
    "openai": "openai",
    "snowflake": "snowflake-connector-python",
}
_API = {
    **{f"{name}_connect": _service(name, package) for name, package in _SERVICES.items()},
    **{
        f"Fused{name}Connection": _service(name.lower(), _SERVICES[name.lower()])
        for name in ("Airtable", "Notion", "Hubspot", "Snowflake", "Dropbox", "Onedrive")
    },
    "airtable_list_records": _service("airtable", "pyairtable"),
    "huggingface_inference": _service("huggingface", "huggingface_hub"),
    "snowflake_query": _service("snowflake", "snowflake-connector-python"),
    **dict.fromkeys(
        (
            *("job_get_logs", "job_print_logs", "job_tail_logs", "job_get_status", "job_cancel", "job_get_exec_time"),
            *("job_wait_for_job", "job_get_results", "job_wait_for_results", "FusedDockerAPI"),
        ),
        _JOBS,
    ),
    "DriveFileSystem": "mount the drive on this machine, or use the package gdrivefs",
    "DropboxFileSystem": "mount the drive on this machine, or use the package dropboxdrivefs",
    "OnedriveFileSystem": "mount the drive on this machine, or use the package msgraphfs",
    "_session_token": _CANVAS,
    "enable_gcs": "name the file with the credentials by GOOGLE_APPLICATION_CREDENTIALS, e.g. in fused.set_env",
    "get_apps": "run the app with Streamlit or Voilà beside Jupyter",
    "log": "the log of runs lies in Jupyter's runtime directory, and %fused_top shows what runs",
    "schedule_list": _CRON,
    "schedule_udf": _CRON,
    "session_token": _CANVAS,
    "shared_udf_url": _CANVAS,
    "team_info": _OTHERS,
}
_H3 = frozenset(
    {
        *("delete_index", "index", "index_status", "indexed_files", "partition", "persist_hex_table_metadata", "query"),
        *("read_hex_table", "read_hex_table_slow", "read_hex_table_with_persisted_metadata", "run_ingest_raster_to_h3"),
        *("run_partition_to_h3", "set_visibility"),
    }
)
_UDF = {
    "from_gist": "save the gist's file, and give its path to fused.load",
    "get_canvas_share_token": _CANVAS,
    "get_schedule": _CRON,
    "schedule": _CRON,
}


def of_fused(name: str) -> CloudOnly | None:
    """The function `fused.<name>`, where it is one of the cloud."""
    return CloudOnly(f"fused.{name}", _FUSED[name]) if name in _FUSED else None


def of_api(name: str) -> CloudOnly | None:
    """The function `fused.api.<name>`, where it is one of the cloud."""
    return CloudOnly(f"fused.api.{name}", _API[name]) if name in _API else None


def of_udf(name: str) -> CloudOnly | None:
    """The method `udf.<name>`, where it is one of the cloud."""
    return CloudOnly(f"udf.{name}", _UDF[name]) if name in _UDF else None


def of_h3(name: str) -> CloudOnly | None:
    """The function `fused.h3.<name>`: all that there are."""
    return CloudOnly(f"fused.h3.{name}", _HEXAGONS) if name in _H3 else None
