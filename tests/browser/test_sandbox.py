"""HTML that a UDF returns, in a real browser of a user who is logged in."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser
from real_jupyter import JupyterServer

pytestmark = pytest.mark.browser

PAGE = '''
@fused.udf
def page():
    return """<html><body><pre id="out">waiting</pre><script>
    const found = {};
    try { found.cookie = document.cookie; } catch (error) { found.cookie = error.name; }
    try { found.storage = String(localStorage.length); } catch (error) { found.storage = error.name; }
    fetch("/api/sessions").then(r => "status " + r.status, error => error.name).then(answer => {
        found.sessions = answer;
        document.getElementById("out").textContent = JSON.stringify(found);
    });
    </script></body></html>"""
'''


def test_html_of_a_udf_runs_without_the_login(browser: Browser) -> None:
    """Its script runs, but reads no cookie, and cannot ask the server for anything as the user."""
    with JupyterServer() as server, server.running_kernel() as kernel:
        kernel.define(PAGE)
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{server.root}login?token={server.token}")  # the cookie is set from here on
        assert page.evaluate("fetch('/api/sessions').then(answer => answer.status)") == 200

        page.goto(f"{server.root}fused/run/file/page.html")
        page.wait_for_function("document.getElementById('out').textContent !== 'waiting'")
        found = json.loads(page.inner_text("#out"))
        context.close()

    assert found == {"cookie": "SecurityError", "storage": "SecurityError", "sessions": "TypeError"}


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
