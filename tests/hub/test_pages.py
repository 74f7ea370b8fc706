"""Pages of UDFs behind a real JupyterHub, in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from real_hub import HubUser, JupyterHub
from real_jupyter import Kernel
from real_lab import PATIENCE, chromium

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(hub: JupyterHub) -> Iterator[Page]:
    """A browser in which nobody has logged in."""
    with chromium() as browser:
        yield browser.new_page()


def test_a_page_leads_to_the_hubs_login_and_back(page: Page, ana: HubUser, kernel: Kernel) -> None:
    """Then it runs its UDF with the cookie and the XSRF header that the Hub wants, and shows HTML in a frame."""
    kernel.define("@fused.udf\ndef greeting(word: str = 'hello'):\n    return f'<h1>{word}</h1>'")
    page.goto(f"{ana.root}fused/udfs/greeting.html?word=hi", timeout=PATIENCE)
    page.fill("input[name=username]", "ana")
    page.fill("input[name=password]", "any")
    page.click("#login_submit")
    page.wait_for_url(re.compile(r".*/fused/udfs/greeting\.html\?word=hi$"), timeout=PATIENCE)

    page.get_by_label("Format").select_option("json")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#status")).to_contain_text("200 · application/json", timeout=PATIENCE)
    page.get_by_label("Format").select_option("html")
    page.get_by_role("button", name="Run").click()

    expect(page.frame_locator("#result iframe").locator("h1")).to_have_text("hi", timeout=PATIENCE)
