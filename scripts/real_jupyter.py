"""A real Jupyter server with real kernels, as a child process: for the demo, the tests and the benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import secrets
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Self

import nbformat
import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from fused_jupyter.wire import Announcement, Status, connect


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: Message
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(kw_only=True)
class CellResult:
    """What one cell gave."""

    text: str = ""
    """stdout and stderr."""
    values: list[dict[str, Any]] = field(default_factory=list)
    """MIME bundles: results and displays."""
    error: dict[str, Any] | None = None
    """`ename`, `evalue`, `traceback` where it raised."""
    has_ended: bool = False

    def take(self, message: Mapping[str, Any]) -> None:
        """Add what a message of the kernel's says."""
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                self.text += content["text"]
            case "execute_result" | "display_data":
                self.values.append(content["data"])
            case "error":
                self.error = content
            case "status":
                self.has_ended = content["execution_state"] == "idle"

    def check(self) -> Self:
        """This result, if the cell raised nothing."""
        if self.error is not None:
            raise AssertionError("\n".join([self.text, *self.error["traceback"]]))
        return self


class Kernel:
    """One kernel of the server."""

    def __init__(self, server: Server, kernel_id: str) -> None:
        self.server = server
        self.id = kernel_id
        self.client = self._connect()
        self._results: dict[str, CellResult] = {}
        self._has_extension = False

    def define(self, source: str, *, options: str = "") -> CellResult:
        """Run a `%%fused_udf` cell, which must succeed; `%load_ext fused_jupyter` comes before it where needed."""
        if not self._has_extension:
            self.execute("%load_ext fused_jupyter").check()
            self._has_extension = True
        return self.execute(f"%%fused_udf {options}\n{textwrap.dedent(source).strip()}\n").check()

    def status(self) -> dict[str, Any]:
        """What its runtime host says of itself; works while a cell runs."""
        return asyncio.run(self._ask_host())

    def wait_for_status(self, holds: Callable[[dict[str, Any]], bool], *, timeout: float = 30) -> dict[str, Any]:
        """Wait until the host's status is as it should be."""
        deadline = time.monotonic() + timeout
        while not holds(status := self.status()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the host did not get there within {timeout} s; it says {status}")
            time.sleep(0.05)
        return status

    @property
    def announcement_path(self) -> Path:
        """The file by which its host is found."""
        return Announcement.path_for(self.server.runtime_directory, self.id)

    def execute(self, code: str, *, timeout: float = 120) -> CellResult:
        """Run a cell and wait for its end."""
        return self.result(self.start(code), timeout=timeout)

    def start(self, code: str) -> str:
        """Run a cell and do not wait; gives the number of the message."""
        # A cell that raises has the kernel drop those that come in the moment after it, without a word.
        message_id = str(self.client.execute(code, allow_stdin=False, stop_on_error=False))
        self._results[message_id] = CellResult()
        return message_id

    def result(self, message_id: str, *, timeout: float = 120) -> CellResult:
        """Wait for the end of a started cell."""
        result = self._wait(message_id, lambda result: result.has_ended, timeout)
        del self._results[message_id]
        return result

    def wait_for_text(self, message_id: str, text: str, *, timeout: float = 60) -> CellResult:
        """Wait until a started cell has printed a text; it may go on running."""
        return self._wait(message_id, lambda result: text in result.text, timeout)

    def pid(self) -> int:
        """Its process."""
        return int(self.execute("import os; print(os.getpid())").check().text)

    def interrupt(self) -> None:
        """Press stop."""
        self.server.request("POST", f"api/kernels/{self.id}/interrupt")

    def restart(self) -> None:
        """Restart it; all that it had is gone."""
        self.client.stop_channels()
        self.server.request("POST", f"api/kernels/{self.id}/restart")
        self.client = self._connect()
        self._has_extension = False

    def reconnect(self) -> None:
        """Connect again to a kernel that died and that the server has started anew."""
        self.client.stop_channels()
        self.client = self._connect()
        self._has_extension = False

    def close(self) -> None:
        """End it."""
        self.client.stop_channels()
        self.server.request("DELETE", f"api/kernels/{self.id}")

    def _wait(self, message_id: str, is_enough: Callable[[CellResult], bool], timeout: float) -> CellResult:
        result = self._results.setdefault(message_id, CellResult())
        deadline = time.monotonic() + timeout
        while not is_enough(result):
            if result.has_ended:
                raise AssertionError(f"the cell ended before that; it gave {result}")
            try:
                message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"nothing of it within {timeout} s; so far: {result}") from None
            of_this_cell = self._results.get(message["parent_header"].get("msg_id"))
            if of_this_cell is not None:
                of_this_cell.take(message)
        return result

    async def _ask_host(self) -> dict[str, Any]:
        announcement = Announcement.read(self.announcement_path)
        client = await connect(announcement, role="server", on_event=lambda _: None)
        try:
            _, body = await client.reply_to(Status(id=client.next_number()))
        finally:
            await client.close()
        status: dict[str, Any] = json.loads(body)
        return status

    def _connect(self) -> BlockingKernelClient:
        # The context of all: one that the garbage collector meets, after a kernel that never came, blocks for ever.
        client = BlockingKernelClient(
            connection_file=str(self.server.runtime_directory / f"kernel-{self.id}.json"),
            context=zmq.Context.instance(),
        )
        client.load_connection_file()
        client.start_channels(hb=False)  # on a loaded machine a kernel that starts misses beats
        try:
            client.wait_for_ready(timeout=60)
        except BaseException:
            client.stop_channels()
            raise
        return client


class Server:
    """A Jupyter server with the extension, as one who has its token and its user's files reaches it."""

    root: str
    """Its address with the base URL, a slash at the end."""
    token: str
    runtime_directory: Path
    directory: Path
    """Of the notebooks."""

    def page(self, path: str) -> str:
        """The address of a page of JupyterLab, for a browser."""
        return f"{self.root}lab/tree/{path}?token={self.token}&reset"

    def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, login: bool = True, timeout: float = 60
    ) -> Answer:
        """GET a path below the base URL, or a whole address."""
        return self.request("GET", path, headers=headers, login=login, timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        login: bool = True,
        timeout: float = 60,
    ) -> Answer:
        """Any request; the token goes into a header."""
        sent = dict(headers or {})
        if login:
            sent.setdefault("Authorization", f"token {self.token}")
        url = path if path.startswith("http") else self.root + path.lstrip("/")
        request = urllib.request.Request(url, data=body, headers=sent, method=method)
        started = time.perf_counter()
        try:
            response = urllib.request.urlopen(request, timeout=timeout)
        except urllib.error.HTTPError as exc:  # an answer as any other
            response = exc
        with response:
            body = response.read()
        seconds = time.perf_counter() - started
        return Answer(status=response.status, headers=response.headers, body=body, seconds=seconds)

    def login_cookie(self) -> str:
        """A login cookie, as a browser has it."""
        cookie = SimpleCookie(self.get("api/me").headers["Set-Cookie"])
        return "; ".join(f"{name}={morsel.value}" for name, morsel in cookie.items())

    def kernel(self) -> Kernel:
        """A new kernel."""
        answer = self.request("POST", "api/kernels", body=b"{}", headers={"Content-Type": "application/json"})
        if answer.status != 201:
            raise RuntimeError(f"no kernel: {answer.status} {answer.body!r}")
        return Kernel(self, answer.json()["id"])

    @contextlib.contextmanager
    def running_kernel(self) -> Iterator[Kernel]:
        """A kernel that is ended afterwards."""
        kernel = self.kernel()
        try:
            yield kernel
        finally:
            kernel.close()


class JupyterServer(Server):
    """`jupyter server` (or `lab`) with the extension, on a free loopback port, with directories of its own."""

    def __init__(
        self,
        *,
        base_url: str = "/",
        application: str = "server",
        directory: Path | None = None,
        home: Path | None = None,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it and wait until it answers.

        Args:
            base_url: where its addresses begin.
            application: of Jupyter.
            directory: of the notebooks.
            home: of all that a user has; one of its own that ends with the server, unless an earlier one's is given.
            arguments: of the command.
            environment: variables beside those of this process.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="fused-jupyter-")
        home = home or Path(self._scratch.name)
        self.directory = directory or home / "notebooks"
        self.directory.mkdir(exist_ok=True)
        self.runtime_directory = home / "runtime"
        self.runtime_directory.mkdir(mode=0o700, exist_ok=True)
        self.base_url = base_url
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}{base_url}"
        self.token = secrets.token_hex(16)
        self.environment = {
            **os.environ,
            "JUPYTER_RUNTIME_DIR": str(self.runtime_directory),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "FUSED_CACHE_DIRECTORY": str(home / "cache"),
            "FUSED_DATA_DIRECTORY": str(home / "fused"),
            "JUPYTER_PREFER_ENV_PATH": "1",
            **(environment or {}),
        }
        self.environment.pop("JPY_PARENT_PID", None)
        self.log_path = home / "server.log"
        self._log = self.log_path.open("wb")
        command = [
            *(sys.executable, "-m", "jupyter", application, "--no-browser", "--ip=127.0.0.1", f"--port={self.port}"),
            *("--ServerApp.port_retries=0", "--allow-root", f"--ServerApp.base_url={base_url}"),
            *(f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.directory}"),
            *("--ServerApp.jpserver_extensions=fused_jupyter=True", *arguments),
        ]
        self.process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            cwd=self.directory,
        )
        self._wait_until_ready()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.log_path.read_text(errors="replace")

    def close(self) -> None:
        """End the server and its kernels."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the Jupyter server ended:\n{self.log}")
            with contextlib.suppress(OSError):
                if self.get("api/status", timeout=2).status == 200:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"the Jupyter server did not answer within 60 s:\n{self.log}")


def notebook_cells(path: Path) -> list[str]:
    """The code cells of a notebook."""
    notebook = nbformat.read(path, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def eventually(holds: Callable[[], bool], *, timeout: float = 10) -> None:
    """Wait until something is so; processes need a moment to notice each other's end."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not become so within {timeout} s")
        time.sleep(0.02)


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
