"""`fused.context`: what a UDF can know of the run that it is in."""

from fused_jupyter.context.run import (
    get_execution_environment_id,
    get_header,
    get_headers,
    get_realtime_client_id,
    get_recursion_factor,
    get_session_token,
    get_share_token,
    get_user_email,
    in_batch,
    in_realtime,
    this_udf,
)

__all__ = [
    "get_execution_environment_id",
    "get_header",
    "get_headers",
    "get_realtime_client_id",
    "get_recursion_factor",
    "get_session_token",
    "get_share_token",
    "get_user_email",
    "in_batch",
    "in_realtime",
    "this_udf",
]
