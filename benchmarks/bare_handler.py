"""A Jupyter extension with one handler: the least that an authenticated response of some bytes can cost."""

from __future__ import annotations

from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web


class BareHandler(JupyterHandler):
    """`GET bare/<size>`: that many bytes."""

    @web.authenticated
    def get(self, size: str) -> None:
        self.set_header("Content-Type", "image/png")
        self.finish(b"x" * int(size))


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "bare_handler"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.web_app.add_handlers(".*$", [(rf"{server.base_url}bare/(\d+)", BareHandler)])
