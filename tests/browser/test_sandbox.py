"""HTML that a UDF returns, in a real browser of a user who is logged in."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from real_jupyter import JupyterServer, Kernel

pytestmark = pytest.mark.browser

PAGE = '''
@fused.udf
def page():
    return """<html><body><pre id="out">waiting</pre><img src="/fused/run/file/tick.png?n=1"><script>
    const found = {};
    const attempt = (name, what) => {
        try { found[name] = String(what()); } catch (error) { found[name] = error.name; }
    };
    attempt("cookie", () => document.cookie);
    attempt("storage", () => localStorage.length);
    attempt("origin", () => self.origin);
    attempt("parent", () => parent === self ? "none" : parent.document.title);
    attempt("parent's cookie", () => parent === self ? "none" : parent.document.cookie);
    attempt("top", () => top === self ? "none" : (top.location = "/lab"));
    const ask = (name, path, how) =>
        fetch(path, how).then(r => r.type + " " + r.status, error => error.name).then(told => { found[name] = told; });
    Promise.all([
        ask("sessions", "/api/sessions", {}),
        ask("with cookies", "/api/sessions", {credentials: "include"}),
        ask("run", "/fused/run/file/tick.json?n=2", {credentials: "include"}),
        ask("list", "/fused/udfs", {credentials: "include"}),
        ask("blind", "/api/kernels", {method: "POST", mode: "no-cors", credentials: "include", body: "{}"}),
        ask("blind run", "/fused/run/file/tick.json?n=3", {mode: "no-cors", credentials: "include"}),
    ]).then(() => { document.getElementById("out").textContent = JSON.stringify(found); });
    </script></body></html>"""
'''

SHUT_OUT = {
    "cookie": "SecurityError",
    "storage": "SecurityError",
    "origin": "null",
    "sessions": "TypeError",
    "with cookies": "TypeError",
    "run": "TypeError",
    "list": "TypeError",
}
ON_TOP = {"parent": "none", "parent's cookie": "none", "top": "none"}
FRAMED = dict.fromkeys(ON_TOP, "SecurityError")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A server with a hostile page, a UDF that counts its runs, and a browser that is logged in."""

    server: JupyterServer
    page: Page
    addresses: dict[str, str]
    runs_file: Path

    @property
    def runs(self) -> int:
        return self.runs_file.stat().st_size

    @property
    def kernels(self) -> int:
        return len(self.server.get("api/kernels").json())


@pytest.fixture
def stage(browser: Browser, tmp_path: Path) -> Iterator[Stage]:
    runs_file = tmp_path / "runs"
    runs_file.touch()
    with JupyterServer() as server, server.running_kernel() as kernel:
        kernel.define(PAGE)
        kernel.define(
            f"""
            @fused.udf
            def tick(n: int = 0):
                open({str(runs_file)!r}, "a").write("x")
                return n
            """
        )
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{server.root}login?token={server.token}")  # the cookie is set from here on
        assert page.evaluate("fetch('/api/sessions').then(answer => answer.status)") == 200
        assert page.evaluate("fetch('/fused/run/file/tick.json').then(answer => answer.status)") == 200
        yield Stage(server=server, page=page, addresses=_addresses(kernel), runs_file=runs_file)
        context.close()


def _addresses(kernel: Kernel) -> dict[str, str]:
    """Where a browser gets the page: with its cookie, and by tokens."""
    code = "page.to_fused(); tokens = [page.create_access_token(live=live).token for live in (True, False)]"
    saved, live = reversed(kernel.execute(code + "; print(*tokens)").check().text.split()[-2:])
    collection = kernel.execute("print(fused.api.create_collection_access_token('default').token)").check().text.strip()
    return {
        "cookie": "fused/run/file/page.html",
        "live token": f"fused/{live}.html",
        "saved token": f"fused/server/v1/realtime-shared/{saved}/run/file.html",
        "collection token": f"fused/{collection}/page.html",
    }


def _read(frame: Any) -> dict[str, str]:  # a page or a frame
    frame.wait_for_function("document.getElementById('out').textContent !== 'waiting'")
    found: dict[str, str] = json.loads(frame.inner_text("#out"))
    return found


def _found(frame: Any) -> dict[str, str]:  # as above
    found = _read(frame)
    assert found.pop("blind").startswith(("opaque", "TypeError"))
    assert found.pop("blind run").startswith(("opaque", "TypeError"))
    return found


def test_html_of_a_udf_runs_without_the_login(stage: Stage) -> None:
    """Its script runs, but has no cookie, and neither reads nor does anything on the server as the user; by whatever
    route it came."""
    before, kernels = stage.runs, stage.kernels
    for name, address in stage.addresses.items():
        stage.page.goto(stage.server.root + address)

        assert _found(stage.page) == SHUT_OUT | ON_TOP, name

    assert (stage.runs, stage.kernels) == (before, kernels)


def test_the_same_html_without_our_headers_reaches_all(stage: Stage) -> None:
    """Or the tests beside this one would prove nothing."""
    html = stage.server.get(stage.addresses["cookie"]).body
    stage.page.route("**/control", lambda route: route.fulfill(body=html, content_type="text/html"))
    before = stage.runs

    stage.page.goto(stage.server.root + "control")
    found = _read(stage.page)

    assert found.items() >= {"sessions": "basic 200", "run": "basic 200", "list": "basic 200", "storage": "0"}.items()
    assert stage.runs > before


def test_html_of_a_udf_in_a_frame_does_not_reach_the_page_around_it(stage: Stage) -> None:
    """Which is one of Jupyter's, as when a notebook shows it."""
    before, kernels = stage.runs, stage.kernels
    for name, address in stage.addresses.items():
        stage.page.goto(f"{stage.server.root}login")
        title = stage.page.title()
        stage.page.evaluate(
            "address => { const frame = document.createElement('iframe');"
            " frame.src = address; document.body.append(frame); }",
            f"/{address}",
        )
        frame = stage.page.wait_for_selector("iframe").content_frame()
        assert frame is not None

        assert _found(frame) == SHUT_OUT | FRAMED, name
        assert stage.page.title() == title

    assert (stage.runs, stage.kernels) == (before, kernels)


@contextlib.contextmanager
def site(directory: Path) -> Iterator[str]:
    """A web server on another port of this host: for browsers the same site, whose requests carry the cookie."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_on_another_port_runs_nothing(stage: Stage, tmp_path: Path) -> None:
    """A picture is enough to send a GET with the user's cookie; the same picture in a page of this server runs."""
    picture = f"{stage.server.root}fused/run/file/tick.json?n=%s"
    show = "url => new Promise(done => { const it = new Image(); it.onload = it.onerror = done; it.src = url; })"
    (tmp_path / "index.html").write_text("<title>another application</title>")
    before = stage.runs
    stage.page.evaluate(show, picture % 1)
    assert stage.runs == before + 1

    with site(tmp_path) as other:
        stage.page.goto(other)
        stage.page.evaluate(show, picture % 2)

    assert stage.runs == before + 1


XML = """<page xmlns:h="http://www.w3.org/1999/xhtml"><h:pre id="out">waiting</h:pre><h:script>
document.getElementById("out").textContent = "ran";
</h:script></page>"""


def test_scripts_in_xml_of_a_udf_do_not_run(browser: Browser) -> None:
    """They would, as elements of XHTML in any XML document: the same text without our headers shows it."""
    with JupyterServer() as server, server.running_kernel() as kernel:
        kernel.define(
            f"""
            class Response:
                status_code, headers, body = 200, {{"content-type": "application/xml"}}, {XML.encode()!r}
            Response.__module__ = "starlette.responses"
            @fused.udf
            def markup():
                return Response()
            """
        )
        context = browser.new_context(extra_http_headers={"Authorization": f"token {server.token}"})
        page = context.new_page()
        page.route("**/control", lambda route: route.fulfill(body=XML, content_type="application/xml"))

        seen = []
        for address in ("control", "fused/run/file/markup"):
            page.goto(server.root + address)
            seen.append(page.text_content("#out"))
        context.close()

    assert seen == ["ran", "waiting"]
