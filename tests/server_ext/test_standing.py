"""Saved UDFs answer with no notebook open: their host comes when it is needed, and goes when it is not."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from real_jupyter import JupyterServer

from fused_jupyter.storage import Library
from fused_jupyter.udfs import UdfDefinition, parse
from fused_jupyter.wire import Limits

IDLE_SECONDS = 2.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def library(data: Path) -> Library:
    return Library(data)


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[JupyterServer]:
    """A server whose host of saved UDFs goes after two idle seconds."""
    with JupyterServer(
        arguments=(f"--FusedExtension.saved_idle_seconds={IDLE_SECONDS}",),
        environment={"FUSED_DATA_DIRECTORY": str(data)},
    ) as server:
        yield server


def udf(source: str) -> UdfDefinition:
    return parse(source)


def host_of(server: JupyterServer) -> psutil.Process | None:
    """The process of saved UDFs, if there is one."""
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error):  # one that just ended
            if "fused_jupyter.runtime.host" in child.cmdline():
                return child
    return None


def wait_until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_is_started_where_nothing_is_saved(tmp_path: Path) -> None:
    """A wrong name or token costs no process."""
    with JupyterServer(environment={"FUSED_DATA_DIRECTORY": str(tmp_path)}) as server:
        assert server.get("fused/run/file/nothing").status == 404
        assert server.get("fused/fsh_wrong/run/tiles/0/0/0", login=False).status == 404
        assert host_of(server) is None


def test_a_saved_udf_answers_with_no_notebook_open(server: JupyterServer, library: Library) -> None:
    """By its name, as a file and as a tile; and it is listed."""
    library.save(udf("def saved(n: int = 1):\n    return {'n': n}\n"))

    assert server.get("fused/run/file/saved?n=7").json() == {"n": 7}
    assert server.get("fused/run/file/saved?n=7").headers["X-Fused-Kernel"] == "saved"
    assert "saved" in [each["name"] for each in server.get("fused/udfs").json()["udfs"]]
    assert server.get("fused/udfs/saved").json()["kernel"] == "saved"


def test_a_damaged_library_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Its host lives, so posted code runs, and the UDFs are back when the file is."""
    library = Library(tmp_path)
    token, _ = library.create_token(udf_id=library.save(udf("def kept():\n    return 1\n")).id)
    step = {"type": "udf", "udf": {"code": "def udf():\n    return 7"}}
    with JupyterServer(environment={"FUSED_DATA_DIRECTORY": str(tmp_path)}) as server:
        assert server.get("fused/run/file/kept").json() == 1
        host, file = host_of(server), tmp_path / "library.sqlite3"
        whole = file.read_bytes()
        file.write_bytes(b"no library" * 1000)
        time.sleep(0.5)  # the host looks for changes by itself

        of_owner = [server.get(path) for path in ("fused/run/file/kept", "fused/server/v1/udf/self")]
        of_token = server.get(f"fused/{token}.json", login=False)
        posted = server.request("POST", "fused/run/udf", body=json.dumps({"step_config": step}).encode())

        assert [answer.status for answer in of_owner] == [500, 500]
        assert all("it is damaged" in answer.json()["error"] for answer in of_owner)
        assert of_token.status == 500
        assert str(tmp_path) not in of_token.body.decode()
        assert posted.json() == 7
        assert server.get("fused/metrics").status == 200
        file.write_bytes(whole)
        wait_until(lambda: server.get("fused/run/file/kept").status == 200)
        assert host_of(server) == host


def test_a_new_version_answers_at_once(server: JupyterServer, library: Library) -> None:
    """Also where the answer of the one before was kept."""
    for version in range(3):
        library.save(udf(f"def changing():\n    return {version}\n"), overwrite=True)
        assert server.get("fused/run/file/changing").json() == version


def test_a_deleted_udf_is_gone_at_once(server: JupyterServer, library: Library) -> None:
    """Its kept answers with it."""
    saved = library.save(udf("def fleeting():\n    return 1\n"))
    assert server.get("fused/run/file/fleeting").status == 200
    library.delete(saved.id)
    assert server.get("fused/run/file/fleeting").status == 404


def test_the_host_goes_when_idle_and_comes_again(server: JupyterServer, library: Library) -> None:
    """Its memory is given back, and its workers go with it; nobody has to know."""
    library.save(udf("def again():\n    import os\n    return os.getpid()\n"), overwrite=True)
    worker = server.get("fused/run/file/again?cache_max_age=0").json()
    host = host_of(server)
    assert host is not None
    wait_until(lambda: host_of(server) is None and not psutil.pid_exists(worker))

    assert server.get("fused/run/file/again?cache_max_age=0").json() != worker


def test_who_only_looks_starts_nothing(server: JupyterServer) -> None:
    """Prometheus comes every few seconds, for ever."""
    wait_until(lambda: host_of(server) is None)
    for path in ("fused/metrics", "fused/health", "fused/runs"):
        assert server.get(path).status == 200
    assert host_of(server) is None


def test_the_host_stays_while_a_run_goes_on(server: JupyterServer, library: Library) -> None:
    """Longer than it may be idle."""
    library.save(
        udf(f"def long():\n    import time\n    time.sleep({IDLE_SECONDS * 2})\n    return 'done'\n"), overwrite=True
    )
    assert server.get("fused/run/file/long").json() == "done"


def test_a_host_that_was_killed_is_replaced(server: JupyterServer, library: Library) -> None:
    """The next request finds another one."""
    library.save(udf("def sturdy():\n    return 1\n"), overwrite=True)
    assert server.get("fused/run/file/sturdy").status == 200
    host = host_of(server)
    assert host is not None
    host.kill()
    wait_until(lambda: not host.is_running())
    assert server.get("fused/run/file/sturdy?n=1", timeout=30).status in {200, 422}
    assert server.get("fused/run/file/sturdy").status == 200


def test_a_kernels_udf_comes_before_a_saved_one(server: JupyterServer, library: Library) -> None:
    """Whoever edits a cell sees what they edit; `kernel=saved` asks for the other one."""
    library.save(udf("def twice():\n    return 'saved'\n"), overwrite=True)
    with server.running_kernel() as kernel:
        kernel.define("@fused.udf\ndef twice():\n    return 'live'\n")
        library.save(udf("def twice():\n    return 'saved again'\n"), overwrite=True)
        assert server.get("fused/run/file/twice").json() == "live"
        assert server.get("fused/run/file/twice?kernel=saved").json() == "saved again"


def test_tokens_of_saved_udfs_open_them_without_login(server: JupyterServer, library: Library) -> None:
    """Until they are deleted: the very next request sees it."""
    saved = library.save(udf("@fused.udf\ndef tiled(bounds=None, n: int = 1):\n    return {'n': n}\n"), overwrite=True)
    secret, token = library.create_token(udf_id=saved.id, limits=Limits(zooms=(0, 3), parameters=("n",)))
    path = f"fused/{secret}/run/tiles"

    assert server.get(f"{path}/2/1/1.json?n=5", login=False).json() == {"n": 5}
    assert server.get(f"{path}/9/1/1.json", login=False).status == 400
    refused = server.get(f"{path}/2/1/1.json?other=1", login=False)
    assert (refused.status, "other" in refused.json()["error"]) == (422, True)
    library.update_token(secret, enabled=False)
    assert server.get(f"{path}/2/1/1.json?n=5", login=False).status == 404
    library.update_token(token.id, enabled=True)
    assert server.get(f"{path}/2/1/1.json?n=5", login=False).status == 200
    library.delete_token(secret)
    assert server.get(f"{path}/2/1/1.json?n=5", login=False).status == 404


def test_rate_is_kept_over_runs_and_kept_answers(server: JupyterServer, library: Library) -> None:
    """Then 429, which says when to come again."""
    saved = library.save(udf("def counted(bounds=None):\n    return 1\n"), overwrite=True)
    secret, _ = library.create_token(udf_id=saved.id, limits=Limits(rate=2.0))
    statuses = [server.get(f"fused/{secret}/run/tiles/0/0/0.json", login=False) for _ in range(8)]
    assert [each.status for each in statuses[:4]] == [200] * 4
    late = [each for each in statuses if each.status != 200]
    assert late
    assert all((each.status, int(each.headers["Retry-After"])) >= (429, 1) for each in late)


def test_no_process_is_left_behind(data: Path) -> None:
    """The server's end is the end of its host and its workers."""
    with JupyterServer(environment={"FUSED_DATA_DIRECTORY": str(data)}) as server:
        worker = server.get("fused/run/file/again?cache_max_age=0").json()
        host = host_of(server)
        assert host is not None
    wait_until(lambda: not host.is_running() and not psutil.pid_exists(worker))
    assert os.getpid() != worker
