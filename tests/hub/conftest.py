"""One JupyterHub with two users, and a kernel of one of them."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from processes import still_running
from real_hub import HubUser, JupyterHub, Visitor
from real_jupyter import Kernel


@pytest.fixture(scope="session")
def hub() -> Iterator[JupyterHub]:
    """A Hub with servers of ana and ben; afterwards its log must hold no traceback, and nothing runs on."""
    with JupyterHub("ana", "ben") as hub:
        yield hub
        log = hub.log
        family = psutil.Process(hub.process.pid).children(recursive=True)
    assert "Traceback" not in log, log
    assert not still_running(family)


@pytest.fixture(scope="session")
def ana(hub: JupyterHub) -> HubUser:
    """The owner."""
    return hub.users["ana"]


@pytest.fixture(scope="session")
def ben(hub: JupyterHub) -> HubUser:
    """Another user, with a server of his own."""
    return hub.users["ben"]


@pytest.fixture(scope="session")
def kernel(ana: HubUser) -> Iterator[Kernel]:
    """A kernel of ana's with the UDF `echo`."""
    with ana.running_kernel() as kernel:
        kernel.define(
            """
            @fused.udf
            def echo(n: int = 1):
                return {"n": n}
            """
        )
        yield kernel


@pytest.fixture(scope="session")
def ana_logged_in(hub: JupyterHub, ana: HubUser) -> Visitor:
    """Her browser, after she has opened JupyterLab once."""
    visitor = Visitor(hub, "ana")
    assert visitor.get(f"{ana.root}lab").status == 200
    return visitor


@pytest.fixture(scope="session")
def ben_logged_in(hub: JupyterHub, ben: HubUser) -> Visitor:
    """His."""
    visitor = Visitor(hub, "ben")
    assert visitor.get(f"{ben.root}lab").status == 200
    return visitor
