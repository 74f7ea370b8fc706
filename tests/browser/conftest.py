"""JupyterLab in a real Chromium, at the root and under a prefix."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from real_jupyter import JupyterServer
from real_lab import LAB_ARGUMENTS, Lab, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for each module, as its event loop must not run when other tests start theirs; none is an error."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module", params=["/", "/user/ana/"], ids=["root", "prefix"])
def lab_server(request: pytest.FixtureRequest) -> Iterator[JupyterServer]:
    """JupyterLab at the root, and under a base URL as JupyterHub gives it."""
    with JupyterServer(base_url=request.param, application="lab", arguments=LAB_ARGUMENTS) as server:
        yield server


@pytest.fixture
def lab(browser: Browser, lab_server: JupyterServer) -> Iterator[Lab]:
    """A page of that JupyterLab."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    yield Lab(page, lab_server)
    context.close()
    for kernel in lab_server.get("api/kernels").json():
        lab_server.request("DELETE", f"api/kernels/{kernel['id']}")
