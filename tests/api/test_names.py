"""The public names of the official client, as code says them: each works, or says what to use in its place."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import CloudOnlyError

NAMES = {
    "fused": """
        udf run run_async submit load load_async cache download file_path get_chunks_metadata get_chunk_from_table
        options secrets user_secrets context api core types models warnings h3 utils load_ipython_extension
    """,
    "fused.api": """
        list get download upload delete sign_url sign_url_prefix resolve get_udfs whoami access_token auth_scheme logout
        NotebookCredentials FusedAPI FdFileSystem create_udf_access_token get_udf_access_tokens get_udf_access_token
        update_udf_access_token delete_udf_access_token
    """,
    "fused.api.api": "FusedAPI AnyBaseUdf",
    "fused.api.FusedAPI()": """
        save_udf delete_saved_udf get_udf_access_tokens get_udf_access_token create_udf_access_token
        update_udf_access_token delete_udf_access_token list_collections get_collection_by_name get_collection_by_id
        create_collection invalidate_cache get_secret_value set_secret_value delete_secret_value list_secrets
    """,
    "fused.core": """
        cache cache_call cache_call_async create_path download file_path get_chunk_from_table get_chunks_metadata
        run_shared_file run_shared_tile run_shared_file_async run_shared_tile_async load_udf_from_code
        load_udf_from_file load_udf_from_directory load_udf_from_zip load_udf_from_fused
        load_udf_from_fused_async load_udf_from_github
        load_udf_from_shared_token import_from_github FusedJSONEncoder fused_json_default_handler
    """,
    "fused.context": """
        get_headers get_header get_realtime_client_id get_recursion_factor get_share_token get_session_token
        get_user_email get_execution_environment_id in_realtime in_batch this_udf
    """,
    "fused.types": """
        Tile TileGDF ViewportGDF Bounds TileXYZ Bbox UdfRuntimeError UdfSerializationError UdfTimeoutError
        JobPoolTailTimeoutError UdfSelfRecursionError
    """,
    "fused.options": """
        auth show max_workers run_timeout request_timeout metadata_request_timeout request_max_retries
        request_retry_base_delay realtime_client_id max_recursion_factor default_udf_run_engine no_login prompt_to_login
        save_user_settings cache_directory data_directory temp_directory cache_storage default_run_headers
        fused_cache_disable_stream default_dtype_out_vector default_dtype_out_raster default_dtype_out_simple fd_prefix
        verbose_udf_runs verbose_cached_functions logging local_engine_cache cache_decorator_max_age
        use_process_pool_for_local_submit never_import gcs_secret job_id pyodide_async_requests h3_extract_processes
        default_send_status_email row_group_batch_size default_conflict_overwrite_choice
    """,
    "fused.load('def f(): pass')": """
        name entrypoint code headers metadata parameters cache_max_age engine disk_size_gb region collection_id
        collection_name type original_headers catalog_url map map_async to_fused to_directory to_file delete_saved
        create_access_token get_access_tokens get_access_token shared_url invalidate_cache set_parameters run_local
        eval_schema json
    """,
    "fused._optional_deps": """
        HAS_GEOPANDAS HAS_MERCANTILE HAS_SHAPELY GPD_GEODATAFRAME MERCANTILE_TILE SHAPELY_GEOMETRY
    """,
    "fused.models.udf": "AnyBaseUdf",
    "fused.models.udf.udf": "GeoPandasUdfV2 AnyBaseUdf",
    "fused.warnings": "FusedWarning FusedUdfWarning",
}
OF_THE_CLOUD = {
    "fused": "ingest ingest_nongeospatial find_dataset register_dataset _fasttortoise _env",
    "fused.h3": "partition run_ingest_raster_to_h3 persist_hex_table_metadata index query read_hex_table",
    "fused.api": """
        get_apps team_info job_get_logs job_print_logs job_tail_logs job_get_status job_cancel job_get_exec_time
        job_wait_for_job job_get_results job_wait_for_results schedule_udf schedule_list log session_token
        _session_token shared_udf_url enable_gcs FusedDockerAPI DriveFileSystem DropboxFileSystem
        OnedriveFileSystem openai_connect
        anthropic_connect huggingface_connect modal_connect daytona_connect notion_connect airtable_connect
        snowflake_connect hubspot_connect dropbox_connect onedrive_connect airtable_list_records snowflake_query
        huggingface_inference FusedNotionConnection
    """,
    "fused.load('def f(): pass')": "schedule get_schedule from_gist get_canvas_share_token",
}


def place(text: str) -> Any:
    """What an expression with `fused` in it means."""
    return eval(text, {"fused": fused})


@pytest.mark.parametrize(("where", "name"), [(where, name) for where, names in NAMES.items() for name in names.split()])
def test_name_is_there(where: str, name: str) -> None:
    """Under the name that code has for it."""
    assert hasattr(place(where), name)


@pytest.mark.parametrize(
    ("where", "name"), [(where, name) for where, names in OF_THE_CLOUD.items() for name in names.split()]
)
def test_name_of_the_cloud_says_what_to_use_here(where: str, name: str) -> None:
    """When it is called, and not before: code imports more than it uses."""
    found = getattr(place(where), name)

    with pytest.raises(CloudOnlyError, match=rf"{name} is done by Fused's cloud only; \w+") as caught:
        found("path", engine="remote")
    assert isinstance(caught.value, NotImplementedError)


def test_name_that_nobody_has_is_an_attribute_error() -> None:
    """Not one of the cloud."""
    for where in ("fused", "fused.api", "fused.core", "fused.types", "fused._optional_deps", "fused.warnings"):
        assert not hasattr(place(where), "no_such_name")


def test_modules_are_imported_by_their_official_names() -> None:
    """In every form of `import`, in a process of its own, and each module once."""
    code = """
        from fused_jupyter import _alias
        _alias.install()
        import fused, fused.models.udf.udf as one, fused.warnings, fused.h3, fused.utils
        from fused.models.udf import AnyBaseUdf
        from fused.api.api import AnyBaseUdf as Other
        from fused._optional_deps import HAS_SHAPELY, SHAPELY_GEOMETRY
        import shapely
        assert HAS_SHAPELY and issubclass(shapely.Point, SHAPELY_GEOMETRY)
        assert AnyBaseUdf is Other is one.Udf is fused.Udf
        assert fused.models.udf.udf is one
        from fused.core import download
        assert download is fused.download
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_udf_comes_back_from_its_json() -> None:
    """As old libraries hand UDFs to others."""
    udf = fused.load("import utils_x\nK = 2\n@fused.udf\ndef f(n: int = 1): return n * K").set_parameters({"n": 21})
    parse = importlib.import_module("fused_jupyter.official.models.udf.udf").GeoPandasUdfV2.parse_raw

    again = parse(udf.json())

    assert (again.code, again.parameters, again.name) == (udf.code, {"n": 21}, "f")
    assert parse(fused.load("def f(n: int): return 2 * n").json())(n=21) == 42
