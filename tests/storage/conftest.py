"""A folder of a UDF, to break; and web servers with faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from fused_jupyter.storage import downloads


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of a UDF as the official client writes it, with `udf` of its `meta.json` changed, and other files."""

    def make(files: dict[str, str | bytes] | None = None, **changes: Any) -> Path:
        path = tmp_path / "quakes"
        path.mkdir()
        udf = {"name": "quakes", "type": "geopandas_v2", "headers": [], "metadata": None, "entrypoint": "udf",
               "cache_max_age": None, "parameters": {}, "source": "quakes.py", **changes}  # fmt: skip
        step = {"type": "udf", "name": "quakes", "udf": {key: value for key, value in udf.items() if value is not ...}}
        contents = {
            "quakes.py": "import fused\n\n@fused.udf\ndef udf(n: int = 2):\n    return n",
            "README.MD": "# job_quakes\n\n",
            "meta.json": json.dumps({"job_config": {"name": None, "steps": [step], "metadata": None}}),
        }
        for name, content in (contents | (files or {})).items():
            if content is not ...:
                (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@dataclass
class Site:
    """A web server on this machine, and how it behaves."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By path."""
    etag: str = '"v1"'
    modified: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """More of them, on each answer with a file."""
    has_ranges: bool = True
    heeds_if_range: bool = True
    has_length: bool = True
    """Whether it says it; if not, it sends chunks."""
    names_total: bool = True
    """Whether it says with a part how long the whole is."""
    pause: float = 0
    """Seconds between two halves of a body."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers break off."""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers of the next answers, instead of files."""
    redirects: dict[str, str] = field(default_factory=dict)
    """By path."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """What came: path, and headers in small letters."""
    sent: int = 0
    """Bytes of files."""

    def url(self, path: str = "a.bin", content: bytes | None = None) -> str:
        if content is not None:
            self.files[f"/{path}"] = content
        return f"{self.address}/{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        site: Site = self.server.site
        path, headers = self.path, {name.lower(): value for name, value in self.headers.items()}
        site.requests.append((path, headers))
        if site.answers:
            status, more = site.answers.pop(0)
            return self._say(status, {"Content-Length": "0", **more})
        if path in site.redirects:
            return self._say(302, {"Content-Length": "0", "Location": site.redirects[path]})
        content = site.files.get(unquote(path.partition("?")[0]))
        if content is None:
            return self._say(404, {"Content-Length": "0"})
        start = self._start(site, headers)
        if start > len(content):
            return self._say(416, {"Content-Length": "0"})
        said = {"ETag": site.etag, "Last-Modified": site.modified, **site.headers}
        if start:
            said["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content) if site.names_total else '*'}"
        body = content[start:]
        said |= {"Content-Length": str(len(body))} if site.has_length else {"Transfer-Encoding": "chunked"}
        self._say(206 if start else 200, said)
        if self.command == "GET":
            self._send(site, body)
        return None

    do_HEAD = do_GET  # noqa: N815 - its name in the base class

    def _start(self, site: Site, headers: dict[str, str]) -> int:
        wanted, condition = headers.get("range"), headers.get("if-range")
        is_same = condition in {site.etag, site.modified} or not site.heeds_if_range or condition is None
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.has_ranges and is_same else 0

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def _send(self, site: Site, body: bytes) -> None:
        cut = min(site.cuts.pop(0), len(body)) if site.cuts else len(body)
        for part in (body[: cut // 2], body[cut // 2 : cut]):
            site.sent += len(part)
            self.wfile.write(part if site.has_length else b"%x\r\n%s\r\n" % (len(part), part) if part else b"")
            self.wfile.flush()
            time.sleep(site.pause)
        if cut == len(body) and not site.has_length:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that was killed is none."""


def _serving(host: str, port: int = 0) -> Iterator[Site]:
    server: Any = _Server((host, port), _Handler)
    server.site = Site(address=f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server, and nobody waits long for it."""
    monkeypatch.setattr(downloads, "FIRST_WAIT", 0.001)
    yield from _serving("127.0.0.1")


@pytest.fixture
def other_site(site: Site) -> Iterator[Site]:
    """Another host, at the same port."""
    yield from _serving("127.0.0.2", int(site.address.rpartition(":")[2]))
