"""Wiring: the extension's settings, its routes, its life."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, default

from fused_jupyter._version import __version__
from fused_jupyter.server_ext.handlers import ROUTES
from fused_jupyter.server_ext.hosts import Hosts

BASE_URL_VARIABLE = "FUSED_JUPYTER_BASE_URL"
"""Tells kernels of this server where the routes are. Twin: runtime/server.py."""


class FusedExtension(ExtensionApp):
    """`fused_jupyter`: UDFs of this server's kernels as files and tiles."""

    name = "fused_jupyter"
    extension_url = "/fused/ping"
    load_other_extensions = True
    file_url_prefix = "/fused"
    description = __doc__ or ""
    version: ClassVar[str] = __version__

    serve_foreign_kernels = Bool(
        default_value=False,
        help="Also serve UDFs of kernels that this user started elsewhere (VS Code, nbclient, another server).",
    ).tag(config=True)

    keep_kernels_alive = Bool(
        default_value=True,
        help="A kernel whose UDFs are asked for over HTTP is not idle, so culling leaves it alone.",
    ).tag(config=True)

    allow_shares = Bool(
        default_value=True,
        help="Answer URLs that carry a token for one UDF in their path, without a login.",
    ).tag(config=True)

    @default("name")
    def _name(self) -> str:
        return "fused_jupyter"

    def initialize_settings(self) -> None:
        """Build the broker, and tell kernels to come where this server is."""
        server = self.serverapp
        os.environ[BASE_URL_VARIABLE] = server.base_url
        self.hosts = Hosts(
            Path(server.runtime_dir),
            is_ours=self._is_ours,
            on_served=self._note_activity,
        )
        self.settings["fused_hosts"] = self.hosts
        self.settings["fused_allow_shares"] = self.allow_shares

    def initialize_handlers(self) -> None:
        """Add the routes; the base URL is put before them by Jupyter."""
        self.handlers.extend(ROUTES)

    async def stop_extension(self) -> None:
        """Hang up on every host."""
        os.environ.pop(BASE_URL_VARIABLE, None)
        await self.hosts.close()

    def _is_ours(self, kernel_id: str, server_pid: int) -> bool:
        return self.serve_foreign_kernels or server_pid == os.getpid() or kernel_id in self.serverapp.kernel_manager

    def _note_activity(self, kernel_id: str) -> None:
        """A kernel that serves tiles is at work, though no message of Jupyter's says so."""
        manager = self.serverapp.kernel_manager
        if not self.keep_kernels_alive or kernel_id not in manager:
            return
        from jupyter_server._tz import utcnow

        manager.get_kernel(kernel_id).last_activity = utcnow()

    @property
    def current_activity(self) -> dict[str, Any]:
        """What would be lost if the server stopped now."""
        return {"hosts": len(self.hosts)}
