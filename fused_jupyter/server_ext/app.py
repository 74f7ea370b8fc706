"""Wiring: the extension's settings, its routes, its life."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from jupyter_server._tz import utcnow
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from traitlets import Bool, Float, Int, List, Unicode

from fused_jupyter._version import __version__
from fused_jupyter.server_ext.codings import Packer
from fused_jupyter.server_ext.handlers import ROUTES
from fused_jupyter.server_ext.hosted.runs import make_polling
from fused_jupyter.server_ext.hosts import Hosts
from fused_jupyter.server_ext.owner import OwnerKey
from fused_jupyter.server_ext.shared.guard import Guard
from fused_jupyter.server_ext.standing import StandingHost
from fused_jupyter.settings import Options
from fused_jupyter.wire import Announcement

_PACKED_BYTES = 32 << 20
_HERE = frozenset({"", "0.0.0.0", "::", "localhost", "127.0.0.1"})  # noqa: S104 - compared, not bound

BASE_URL_VARIABLE = "FUSED_JUPYTER_BASE_URL"
"""Tells kernels of this server where the routes are. Twin: runtime/server.py."""


class FusedExtension(ExtensionApp):
    """`fused_jupyter`: UDFs of this server's kernels as files and tiles."""

    name = "fused_jupyter"
    extension_url = "/fused/ping"
    load_other_extensions = True
    file_url_prefix = "/fused"
    description = __doc__ or ""
    version = __version__

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
        help="Answer URLs that carry a token in their path, without a login.",
    ).tag(config=True)

    share_origins = List(
        Unicode(),
        default_value=["*"],
        help="Sites whose pages may read what URLs with a token give, such as https://example.org; * means all.",
    ).tag(config=True)

    share_misses_per_minute = Int(
        30,
        min=0,
        help="How many wrong tokens a minute an address may try; more are refused without a look. 0 allows any number.",
    ).tag(config=True)

    serve_saved = Bool(
        default_value=True,
        help="Serve saved UDFs, which need no notebook; their host is started on demand.",
    ).tag(config=True)

    python = Unicode(
        sys.executable,
        help="The Python that runs saved UDFs and posted code; fused-jupyter has to be installed beside it.",
    ).tag(config=True)

    saved_idle_seconds = Float(
        300.0, help="How long after the last request the host of saved UDFs stops, and gives its memory back."
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Build the broker, and tell kernels to come where this server is."""
        server = self._server
        os.environ[BASE_URL_VARIABLE] = server.base_url
        runtime_directory = Path(server.runtime_dir)
        standing = StandingHost(
            python=self.python,
            directory=runtime_directory,
            options=Options.from_environment(),
            idle_seconds=self.saved_idle_seconds,
        )
        self.hosts = Hosts(
            runtime_directory,
            is_served=self._is_served,
            has_kernel=self._has_kernel,
            on_served=self._note_activity,
            standing=standing if self.serve_saved else None,
        )
        self.owner_key = OwnerKey(runtime_directory)
        server.io_loop.add_callback(self._write_owner_key)  # when the port is known
        self.settings["fused_owner_key"] = self.owner_key
        self.settings["fused_hosts"] = self.hosts
        self.settings["fused_packer"] = Packer(_PACKED_BYTES)
        self.settings["fused_allow_shares"] = self.allow_shares
        self.settings["fused_share_origins"] = self.share_origins
        self.settings["fused_guard"] = Guard(self.share_misses_per_minute)
        self.settings["fused_requests"] = Counter()
        self.settings["fused_polling"] = make_polling()

    def initialize_handlers(self) -> None:
        """Add the routes; the base URL is put before them by Jupyter."""
        self.handlers.extend(ROUTES)

    def current_activity(self) -> int:
        """How many hosts this server serves, so that it does not end for idleness while it serves foreign ones."""
        return len(self.hosts)

    async def stop_extension(self) -> None:
        """Hang up on every host."""
        os.environ.pop(BASE_URL_VARIABLE, None)
        self.owner_key.remove()
        await self.settings["fused_polling"].close()
        await self.hosts.close()

    def _write_owner_key(self) -> None:
        server = self._server
        url = urlsplit(server.connection_url)  # `local_url` names a page, such as /lab
        if server.ip in _HERE and not server.sock:
            url = url._replace(netloc=f"127.0.0.1:{server.port}")
        self.owner_key.write(url=url.geturl(), base_url=server.base_url)

    @property
    def _server(self) -> ServerApp:
        assert self.serverapp is not None  # Jupyter links it before it calls anything here
        return self.serverapp

    def _is_served(self, announcement: Announcement) -> bool:
        is_ours = announcement.server_pid == os.getpid() or self._has_kernel(announcement.kernel_id)
        return is_ours or self.serve_foreign_kernels

    def _has_kernel(self, kernel_id: str) -> bool:
        return kernel_id in self._server.kernel_manager

    def _note_activity(self, kernel_id: str) -> None:
        """A kernel that serves tiles is at work, and so is its server, though no message of Jupyter's says so."""
        if not self.keep_kernels_alive:
            return
        now = utcnow()
        self._server.web_app.settings["last_activity_times"]["fused_jupyter"] = now
        if self._has_kernel(kernel_id):
            # Jupyter's own manager puts this attribute onto kernels of any class, so no class declares it.
            setattr(self._server.kernel_manager.get_kernel(kernel_id), "last_activity", now)  # noqa: B010
