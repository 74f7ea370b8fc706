"""Three real servers, each started when the first test asks for it, and kernels with UDFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_jupyter import Answer, JupyterServer, Kernel

STRICT_CONFIG = '''
from jupyter_server.auth import Authorizer, IdentityProvider

class Picky(IdentityProvider):
    """A provider of somebody else's: what it says counts, whatever the token."""
    async def get_user(self, handler):
        if "X-Stranger" in handler.request.headers:
            return None
        return await super()._get_user(handler)

class ReadOnly(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return not ("X-Read-Only" in handler.request.headers and (action, resource) == ("execute", "fused"))

c.ServerApp.identity_provider_class = Picky
c.ServerApp.authorizer_class = ReadOnly
c.FusedExtension.serve_foreign_kernels = True
c.FusedExtension.keep_kernels_alive = False
c.FusedExtension.allow_shares = False
'''


@pytest.fixture(scope="session")
def server() -> Iterator[JupyterServer]:
    """A server at `/` that logs all that it can, and is not tired of wrong tokens."""
    with JupyterServer(arguments=("--debug", "--FusedExtension.share_misses_per_minute=0")) as server:
        yield server


@pytest.fixture(scope="session")
def kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `server` with the extension and the UDF `echo`."""
    with server.running_kernel() as kernel:
        kernel.define(
            """
            @fused.udf
            def echo(n: int = 1, word: str = "", tags: list = None):
                return {"n": n, "word": word, "tags": tags}
            """
        )
        yield kernel


@pytest.fixture(scope="session")
def prefixed() -> Iterator[JupyterServer]:
    """A server below a path that has to be quoted, where Jupyter itself insists that every route is protected."""
    with JupyterServer(
        base_url="/user/a%40b/", arguments=("--ServerApp.allow_unauthenticated_access=False",)
    ) as server:
        yield server


@pytest.fixture(scope="session")
def prefixed_kernel(prefixed: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `prefixed` with the UDF `echo`."""
    with prefixed.running_kernel() as kernel:
        kernel.define("def echo(n: int = 1):\n    return {'n': n}")
        yield kernel


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A server with identity provider and authorizer of somebody else, and with all settings the other way round."""
    config = tmp_path_factory.mktemp("strict") / "config.py"
    config.write_text(STRICT_CONFIG)
    with JupyterServer(arguments=(f"--config={config}",)) as server:
        yield server


@pytest.fixture(scope="session")
def hasty(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `server` with one worker and little patience."""
    times = {"FUSED_TILE_TIMEOUT": "0.5", "FUSED_FILE_TIMEOUT": "1.5", "FUSED_QUEUE_TIMEOUT": "0.3"}
    settings = {"FUSED_WORKERS": "1", **times}
    with server.running_kernel() as kernel:
        kernel.execute(f"import os; os.environ.update({settings!r})").check()
        kernel.define(
            """
            @fused.udf
            def slow(seconds: float = 60.0):
                import time
                time.sleep(seconds)
                return seconds
            """
        )
        yield kernel


@pytest.fixture(scope="session")
def strict_kernel(strict: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `strict` with the UDF `echo`."""
    with strict.running_kernel() as kernel:
        kernel.define("def echo(n: int = 1):\n    return {'n': n}")
        yield kernel


@pytest.fixture
def runs(kernel: Kernel) -> Callable[[], int]:
    """How many requests the host of `kernel` got so far; what was refused before it never counts."""
    return lambda: int(kernel.status()["requests"])


@pytest.fixture
def ask(server: JupyterServer, kernel: Kernel) -> Callable[..., Answer]:
    """GET below `server` with its token, where `kernel` is ready."""
    return server.get


@pytest.fixture
def runtime_directory(tmp_path: Path) -> Path:
    """An empty directory for announcements."""
    directory = tmp_path / "runtime"
    directory.mkdir(mode=0o700)
    return directory
