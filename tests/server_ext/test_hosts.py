"""Whose UDFs a server serves, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from real_jupyter import JupyterServer, Kernel, eventually

from fused_jupyter._version import __version__
from fused_jupyter.errors import ProtocolError, UnknownUdfError
from fused_jupyter.server_ext.hosts import Host, Hosts
from fused_jupyter.wire import PROTOCOL, Announcement, Client, Message, Reply, Run, pack
from fused_jupyter.wire.announcement import process_started


class Rogue:
    """Something that announces itself as a host and is none."""

    def __init__(self, directory: Path, greeting: Callable[[socket.socket], None], *, server_pid: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._greeting = greeting
        self.callers: list[socket.socket] = []
        self.announcement = Announcement(
            protocol=PROTOCOL,
            package_version="9.9.9",
            kernel_id=str(uuid.uuid4()),
            pid=os.getpid(),
            pid_started=process_started(os.getpid()),
            kernel_pid=os.getpid(),
            server_pid=server_pid,
            address=f"127.0.0.1:{self._listener.getsockname()[1]}",
            secret=secrets.token_hex(32),
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.path = self.announcement.write(directory)

    def close(self) -> None:
        self._listener.close()
        for caller in self.callers:
            caller.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                self.callers.append(caller)
                self._greeting(caller)


def speaks_protocol_99(caller: socket.socket) -> None:
    greeting = json.dumps({"protocol": 99, "version": "9.9.9", "nonce": "0"}).encode()
    caller.sendall(pack(greeting, 0))


def speaks_nonsense(caller: socket.socket) -> None:
    caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def hangs_up(caller: socket.socket) -> None:
    caller.close()


def says_nothing(caller: socket.socket) -> None:
    del caller


def knows_everybody_and_lies(caller: socket.socket) -> None:
    """Takes any proof, then describes UDFs that are none."""
    caller.sendall(pack(json.dumps({"protocol": PROTOCOL, "version": "9", "nonce": "00"}).encode(), 0))
    caller.recv(65536)
    caller.sendall(pack(b'{"welcome": true}', 0))
    caller.sendall(pack(b'["Published", {"id": 0, "udfs": [{"name": "lied"}, 5], "shares": 7}]', 0))


@pytest.fixture
def rogue(server: JupyterServer, kernel: Kernel) -> Iterator[Callable[..., Rogue]]:
    """Makes rogues beside the real kernel of `server`."""
    made: list[Rogue] = []

    def make(greeting: Callable[[socket.socket], None], *, server_pid: int | None = None) -> Rogue:
        pid = server.process.pid if server_pid is None else server_pid
        made.append(Rogue(server.runtime_directory, greeting, server_pid=pid))
        return made[-1]

    yield make
    for one in made:
        one.close()


def foreign_kernel(server: JupyterServer, udf: str, *, parent: int) -> subprocess.Popen[str]:
    """A Python that no server of this test started, with a UDF: as nbclient and VS Code start them."""
    code = f"""
import os, sys, linecache
import fused_jupyter as fused
source = "def {udf}():\\n    return 'foreign'\\n"
linecache.cache["<cell>"] = (len(source), None, source.splitlines(True), "<cell>")
space = {{}}
exec(compile(source, "<cell>", "exec"), space)
from fused_jupyter.runtime import current
current().start()
fused.udf(space["{udf}"])
print(current().kernel_id, flush=True)
sys.stdin.readline()
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**server.environment, "JPY_PARENT_PID": str(parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=server.directory,
    )


@contextlib.contextmanager
def running_foreign(server: JupyterServer, udf: str, *, parent: int) -> Iterator[str]:
    """The id of a foreign kernel that is ready."""
    with foreign_kernel(server, udf, parent=parent) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


# -- foreign kernels


@pytest.mark.parametrize("parent", [0, 1])
def test_a_kernel_of_somebody_else_is_not_served(parent: int, server: JupyterServer, kernel: Kernel) -> None:
    """Its announcement lies in the same directory; that is not enough."""
    with running_foreign(server, "far_away", parent=parent) as kernel_id:
        assert Announcement.path_for(server.runtime_directory, kernel_id).exists()
        assert server.get("fused/run/file/far_away").status == 404
        assert server.get(f"fused/run/file/far_away?kernel={kernel_id}").status == 404
        assert server.get(f"fused/ping?kernel={kernel_id}").json()["alive"] is False
        assert "far_away" not in server.get("fused/udfs").body.decode()


def test_a_server_may_be_told_to_serve_it(strict: JupyterServer) -> None:
    """`serve_foreign_kernels` makes it one of ours, for as long as it lives."""
    with running_foreign(strict, "far_away", parent=1) as kernel_id:
        assert strict.get("fused/run/file/far_away.json").json() == "foreign"
        assert strict.get(f"fused/run/file/far_away.json?kernel={kernel_id}").headers["X-Fused-Kernel"] == kernel_id
    eventually(lambda: strict.get("fused/run/file/far_away").status == 503)
    assert strict.get("fused/run/file/far_away?kernel=nobody").status == 404


# -- announcements that are not true any more


def test_a_stale_announcement_is_reaped(server: JupyterServer, kernel: Kernel) -> None:
    """A host that was killed could not take its file away."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    announcement = replace(
        Announcement.read(kernel.announcement_path), kernel_id=str(uuid.uuid4()), pid=dead.pid, pid_started=1.0
    )
    path = announcement.write(server.runtime_directory)

    answer = server.get(f"fused/run/file/echo?kernel={announcement.kernel_id}")

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) == 1
    assert not path.exists()


def test_a_pid_that_was_given_away_again_is_no_host(server: JupyterServer, kernel: Kernel) -> None:
    """The process of that number is another one: it started at another time."""
    announcement = replace(
        Announcement.read(kernel.announcement_path), kernel_id=str(uuid.uuid4()), pid=os.getpid(), pid_started=1.0
    )
    path = announcement.write(server.runtime_directory)

    assert server.get("fused/run/file/echo").status == 200
    assert server.get(f"fused/run/file/echo?kernel={announcement.kernel_id}").status == 503
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_file_that_others_may_read_is_passed_over(mode: int, server: JupyterServer, kernel: Kernel) -> None:
    """Its secret is none."""
    announcement = replace(Announcement.read(kernel.announcement_path), kernel_id=str(uuid.uuid4()))
    path = announcement.write(server.runtime_directory)
    path.chmod(mode)

    assert server.get(f"fused/run/file/echo?kernel={announcement.kernel_id}").status == 404
    path.unlink()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"protocol": 1}', "\0" * 100])
def test_a_file_that_is_no_announcement_disturbs_nobody(text: str, server: JupyterServer, kernel: Kernel) -> None:
    """Half written, of another version, or of another program."""
    path = server.runtime_directory / f"fused-{uuid.uuid4()}.json"
    path.touch(mode=0o600)
    path.write_text(text)

    assert server.get("fused/run/file/echo").status == 200
    assert server.get("fused/udfs").status == 200
    path.unlink()


# -- other versions, and things that are no hosts


def test_another_protocol_is_502_with_both_versions(rogue: Callable[..., Rogue], server: JupyterServer) -> None:
    """Two environments with different versions: the error names both and what to do; other kernels go on."""
    other = rogue(speaks_protocol_99)

    answer = server.get(f"fused/run/file/echo?kernel={other.announcement.kernel_id}")

    assert answer.status == 502
    error = answer.json()["error"]
    assert "9.9.9 (protocol 99)" in error
    assert f"{__version__} (protocol {PROTOCOL})" in error
    assert server.get("fused/run/file/echo").status == 200


def test_a_server_with_only_another_version_says_so(runtime_directory: Path) -> None:
    """Nobody searches for a UDF that is there but cannot be asked."""
    other = Rogue(runtime_directory, speaks_protocol_99, server_pid=0)

    async def ask() -> None:
        hosts = Hosts(runtime_directory, is_served=lambda _: True, has_kernel=lambda _: False)
        for kernel in (None, other.announcement.kernel_id):
            with pytest.raises(ProtocolError, match="protocol 99"):
                await hosts.find("anything", kernel)

    asyncio.run(ask())
    other.close()


@pytest.mark.parametrize("greeting", [speaks_nonsense, hangs_up, knows_everybody_and_lies])
def test_what_is_no_host_disturbs_nobody(
    greeting: Callable[[socket.socket], None], rogue: Callable[..., Rogue], server: JupyterServer
) -> None:
    """The server treats what a host says as a stranger's word."""
    other = rogue(greeting)

    assert server.get(f"fused/run/file/lied?kernel={other.announcement.kernel_id}").status in {404, 502, 503}
    assert server.get("fused/run/file/lied").status == 404
    assert server.get("fused/run/file/echo").status == 200
    assert server.get("fused/udfs").status == 200


def test_a_host_that_says_nothing_costs_its_own_callers_only(
    rogue: Callable[..., Rogue], server: JupyterServer
) -> None:
    """While one request waits for it, another kernel's UDF is answered."""
    other = rogue(says_nothing)
    order: list[str] = []

    def ask(name: str, address: str) -> int:
        status = server.get(address).status
        order.append(name)
        return status

    with ThreadPoolExecutor() as pool:
        silent = pool.submit(ask, "silent", f"fused/run/file/echo?kernel={other.announcement.kernel_id}")
        while not other.callers:
            time.sleep(0.01)
        real = pool.submit(ask, "real", "fused/run/file/echo")
        assert silent.result() in {404, 503}
        assert real.result() == 200
    assert order == ["real", "silent"]


# -- which of several


def test_two_kernels_with_one_name(server: JupyterServer, kernel: Kernel) -> None:
    """The newest registration answers and says whose it is; a pin names the other; running a cell again wins."""
    with server.running_kernel() as other:
        kernel.define("def twin():\n    return 'first'")
        other.define("def twin():\n    return 'second'")

        newest = server.get("fused/run/file/twin.json")
        pinned = server.get(f"fused/run/file/twin.json?kernel={kernel.id}")

        assert (newest.json(), newest.headers["X-Fused-Kernel"]) == ("second", other.id)
        assert (pinned.json(), pinned.headers["X-Fused-Kernel"]) == ("first", kernel.id)
        assert server.get("fused/udfs/twin").json()["kernel"] == other.id
        listed = server.get("fused/udfs").json()["udfs"]
        assert [udf["kernel"] for udf in listed if udf["name"] == "twin"] == [other.id]
        kernel.define("def twin():\n    return 'third'")
        assert server.get("fused/run/file/twin.json").json() == "third"
        other.define("def twin():\n    return 'fourth'")
        assert server.get("fused/run/file/twin.json").json() == "fourth"
    eventually(lambda: server.get("fused/run/file/twin.json").json() == "third")


def test_a_pinned_kernel_is_never_replaced(server: JupyterServer, kernel: Kernel) -> None:
    """A pin to a kernel that has ended is 503 at once with Retry-After, though another has the name."""
    with server.running_kernel() as other:
        other.define("def pinned_away():\n    return 1")
        assert server.get(f"fused/run/file/pinned_away?kernel={other.id}").status == 200
    eventually(lambda: not other.announcement_path.exists())
    kernel.define("def pinned_away():\n    return 2")

    answer = server.get(f"fused/run/file/pinned_away?kernel={other.id}")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["type"] == "HostLostError"
    assert answer.seconds < 1
    assert server.get("fused/run/file/pinned_away.json").json() == 2


def test_a_kernel_without_the_extension_is_503(server: JupyterServer) -> None:
    """It runs, but no cell has loaded us yet: come back when it has."""
    with server.running_kernel() as bare:
        answer = server.get(f"fused/run/file/echo?kernel={bare.id}")
    assert answer.status == 503
    assert "run its cells" in answer.json()["error"]


def test_a_pinned_kernel_says_what_it_has(server: JupyterServer, kernel: Kernel) -> None:
    """Not what other kernels have."""
    with server.running_kernel() as other:
        other.define("def lonely():\n    return 1")
        error = server.get(f"fused/run/file/echo?kernel={other.id}").json()
    assert error["type"] == "UnknownUdfError"
    assert "lonely" in error["error"]


def test_the_first_requests_may_come_at_once(kernel: Kernel, server: JupyterServer) -> None:
    """A map asks for twenty tiles before the server has ever heard of the kernel; none of them is lost."""
    with server.running_kernel() as fresh:
        fresh.define("def first_seen(n: int = 0):\n    return n")
        time.sleep(0.2)
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda n: server.get(f"fused/run/file/first_seen.json?n={n}"), range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    assert [answer.json() for answer in answers] == list(range(20))


# -- the broker alone


def test_an_empty_directory_has_nothing(runtime_directory: Path) -> None:
    """And one that is not there either."""

    async def ask(directory: Path) -> None:
        hosts = Hosts(directory, is_served=lambda _: True, has_kernel=lambda _: False)
        with pytest.raises(UnknownUdfError, match="no running kernel"):
            await hosts.find("anything", None)
        assert await hosts.all() == []
        assert not await hosts.has("anybody")
        await hosts.close()

    asyncio.run(ask(runtime_directory))
    asyncio.run(ask(runtime_directory / "missing"))


# -- idleness


def test_serving_is_activity(server: JupyterServer, kernel: Kernel) -> None:
    """A kernel that serves tiles is not culled, and its server is not idle for a hub."""
    with server.running_kernel() as busy:
        busy.define("def working(n: int = 0):\n    return n")
        before = server.get(f"api/kernels/{busy.id}").json()["last_activity"]
        before_of_server = server.get("api/status").json()["last_activity"]
        time.sleep(0.05)

        server.get("fused/run/file/working?n=1")

        assert server.get("api/status").json()["last_activity"] > before_of_server
        assert server.get(f"api/kernels/{busy.id}").json()["last_activity"] > before


def test_an_operator_may_want_kernels_to_be_culled(strict: JupyterServer, strict_kernel: Kernel) -> None:
    """`keep_kernels_alive=False` leaves the times alone."""
    before = strict.get(f"api/kernels/{strict_kernel.id}").json()["last_activity"]

    assert strict.get("fused/run/file/echo?n=4711").status == 200

    assert strict.get(f"api/kernels/{strict_kernel.id}").json()["last_activity"] == before


class EditedHost(Client):
    """A host whose news of an edit have not arrived; says what it was asked for."""

    is_open = True

    def __init__(self) -> None:
        self.asked: list[Run] = []

    async def reply_to(self, message: Message, body: object = b"") -> tuple[Reply, bytes]:
        assert isinstance(message, Run)
        self.asked.append(message)
        return Reply(id=message.id, digest="new", max_age=100, length=3), b"new"


def test_an_edit_that_the_server_has_not_heard_of_answers_all_the_same(runtime_directory: Path) -> None:
    """A busy server may be late; the host knows what a name means, and what it gave is not kept for the old code."""
    hosts = Hosts(runtime_directory, is_served=lambda _: True, has_kernel=lambda _: True)
    client = EditedHost()
    announcement = Announcement(
        **dict.fromkeys(("protocol", "pid", "pid_started", "kernel_pid", "server_pid"), 0),
        **dict.fromkeys(("package_version", "kernel_id", "address", "secret"), ""),
    )
    host = Host(announcement, client, udfs={"f": {"digest": "old"}})

    for asked_for in (None, None, "old"):
        run = Run(id=1, udf="f", digest=asked_for, parameters={})
        assert asyncio.run(hosts.run(host, run))[1] == b"new"

    assert [run.digest for run in client.asked] == [None, None, "old"]
