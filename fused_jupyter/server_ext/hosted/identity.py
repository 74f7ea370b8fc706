"""Who is asked, and who asks: there is one user and one place where UDFs run."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated

from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.server_ext.hosted.handler import HostedHandler
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.settings import whoami

CLIENT_ID = "local"
"""What the official client calls the place where UDFs run."""


class UserHandler(HostedHandler):
    """`GET fused/server/v1/user/self`."""

    @may_execute
    async def get(self) -> None:
        """Name and address of this user."""
        self.send_json({**whoami(), "id": whoami()["handle"], "execution_environment_id": None})

    head = get


class InstancesHandler(HostedHandler):
    """`GET fused/server/v1/realtime-instance/available`, where UDFs can run."""

    @may_execute
    async def get(self) -> None:
        """Here."""
        self.send_json([{"client_id": CLIENT_ID, "preference_rank": 1}])

    head = get


class EnvironmentHandler(HostedHandler):
    """`GET fused/server/v1/execution-env/self`, the team of this user."""

    @may_execute
    async def get(self) -> None:
        """This user alone."""
        self.send_json({"id": CLIENT_ID, "name": CLIENT_ID, "handle": whoami()["handle"]})

    head = get


class HealthHandler(HostedHandler):
    """`GET fused/server/v1/health`, which the official client asks without a login."""

    @allow_unauthenticated
    async def get(self) -> None:
        """No more than that there is somebody."""
        self.send_json({"status": "ok"})

    head = get


class AbsentHandler(HostedHandler):
    """Everything else below `fused/server/v1`: a JSON 404, for the owner."""

    @may_execute
    async def get(self) -> None:
        """Say that Fused has it, or may have it, and this server has not."""
        raise UnknownUdfError(
            "this part of Fused's API is not here; there are runs, saved UDFs, collections, tokens and files, as "
            "docs/official-client.md lists them"
        )

    head = post = put = delete = get


_BASE = r"/fused/server/v1"

ABSENT_ROUTES: list[tuple[str, Any]] = [(rf"{_BASE}(?:/.*)?", AbsentHandler)]
"""Comes after all others."""

IDENTITY_ROUTES: list[tuple[str, Any]] = [
    (rf"{_BASE}/user/self", UserHandler),
    (rf"{_BASE}/realtime-instance/available", InstancesHandler),
    (rf"{_BASE}/execution-env/self", EnvironmentHandler),
    (rf"{_BASE}/health", HealthHandler),
]
