"""The hosted API of Fused, for the owner: identity, runs of posted code, saved UDFs, tokens, files."""

from __future__ import annotations

from typing import Any

from fused_jupyter.server_ext.hosted.files import FILE_ROUTES
from fused_jupyter.server_ext.hosted.identity import ABSENT_ROUTES as ABSENT_ROUTES
from fused_jupyter.server_ext.hosted.identity import IDENTITY_ROUTES
from fused_jupyter.server_ext.hosted.runs import RUN_ROUTES
from fused_jupyter.server_ext.hosted.tokens import TOKEN_ROUTES
from fused_jupyter.server_ext.hosted.udfs import UDF_ROUTES

ROUTES: list[tuple[str, Any]] = [*IDENTITY_ROUTES, *RUN_ROUTES, *UDF_ROUTES, *TOKEN_ROUTES, *FILE_ROUTES]
