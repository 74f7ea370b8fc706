from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin

import lxml.html
import pytest
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter.server_ext.pages.assets import ASSETS, VERSION
from fused_jupyter.server_ext.pages.entry import entries_of

Ask = Callable[..., Answer]
PAGES = ["fused/udfs.html", "fused/udfs/echo.html"]
NAVIGATION = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_locked(address: str, ask: Ask) -> None:
    """A policy without holes, a new nonce each time, kept nowhere."""
    first, second = ask(address), ask(address)

    nonces = [re.search(r"'nonce-([\w-]{22})'", each.headers["Content-Security-Policy"]) for each in (first, second)]
    assert first.status == 200
    assert nonces[0] is not None
    assert nonces[1] is not None
    assert nonces[0][1] != nonces[1][1]
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Referrer-Policy"] == "same-origin"
    assert first.headers.get_content_type() == "text/html"


def test_every_link_of_a_page_leads_somewhere(prefixed: JupyterServer, prefixed_kernel: Kernel) -> None:
    """Below a prefix too, as JupyterHub has it."""
    for address in PAGES:
        root = lxml.html.document_fromstring(prefixed.get(address).body)
        found = root.xpath("//link/@href | //script/@src | //a[@href]/@href")
        assert len(found) > 2
        for each in found:
            assert prefixed.get(urljoin(prefixed.root + address, each)).status == 200, each


@pytest.mark.parametrize("address", PAGES)
def test_browsers_log_in_first(address: str, server: JupyterServer, kernel: Kernel) -> None:
    """People get the login page and come back; programs get 403 as everywhere."""
    browser = server.get(address, headers=NAVIGATION, login=False)
    program = server.get(address, login=False)

    assert b'name="password"' in browser.body
    assert program.status == 403


def test_a_page_may_be_linked_from_anywhere_but_not_framed_or_fetched(server: JupyterServer, kernel: Kernel) -> None:
    """It runs nothing by itself; a route that does is not opened by such a link."""
    cookie = {"Cookie": server.login_cookie(), "Sec-Fetch-Site": "cross-site"}

    def status(address: str, **headers: str) -> int:
        return server.get(address, headers=cookie | headers, login=False).status

    assert status(PAGES[1], **NAVIGATION) == 200
    assert status(PAGES[1], **(NAVIGATION | {"Sec-Fetch-Dest": "iframe"})) == 403
    assert status(PAGES[1]) == 403
    assert status("fused/run/file/echo.json", **NAVIGATION) == 403


def test_looking_at_pages_runs_nothing(ask: Ask, kernel: Kernel, runs: Callable[[], int]) -> None:
    """Neither the UDF nor another one."""
    before = runs()

    for address in [*PAGES, "fused/openapi.json", "fused/wmts", "fused/wmts/WMTSCapabilities.xml"]:
        assert ask(address).status == 200

    assert runs() == before


@pytest.mark.usefixtures("kernel")
def test_a_page_of_nobody_is_a_404(ask: Ask) -> None:
    """As everywhere, with the names that are near."""
    answer = ask("fused/udfs/ecko.html")

    assert answer.status == 404
    assert "echo" in answer.json()["error"]


@pytest.mark.parametrize("name", ASSETS)
def test_code_and_style_are_for_everybody(name: str, server: JupyterServer) -> None:
    """They may be kept for ever, as their version is in their address; no cookie is set."""
    answer = server.get(f"fused/pages/{VERSION}/{name}", login=False)

    assert answer.status == 200
    assert answer.body == ASSETS[name][0]
    assert "immutable" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
    assert server.get(f"fused/pages/{'0' * 12}/{name}", login=False).status == 404
    assert server.get(f"fused/pages/{VERSION}/other.js", login=False).status == 404


class _Host:
    def __init__(self, kernel_id: str, **registered: float) -> None:
        self.kernel_id = kernel_id
        self.udfs = {name: {"name": name, "registered_at": at, "digest": kernel_id} for name, at in registered.items()}


def test_a_name_means_what_a_request_without_a_kernel_gets() -> None:
    """The newest one of a kernel; a saved one only where no kernel has the name."""
    hosts = [_Host("one", f=1.0, g=5.0), _Host("two", f=2.0), _Host("saved", f=9.0, h=1.0)]

    found = {entry.name: entry.kernel for entry in entries_of(hosts)}  # type: ignore[arg-type]  # what it looks at

    assert found == {"f": "two", "g": "one", "h": "saved"}
