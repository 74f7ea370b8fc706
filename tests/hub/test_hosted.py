"""Saved UDFs, their tokens and the API of Fused's client, behind a real JupyterHub."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psutil
import pytest
from processes import command_of
from real_hub import HubUser, Visitor
from real_jupyter import Kernel

API = "fused/server/v1"


@pytest.fixture(scope="module")
def token(kernel: Kernel) -> Iterator[str]:
    """Of a saved UDF that shows the variables of its process."""
    kernel.define(
        """
        @fused.udf
        def saved_variables():
            import os
            return dict(os.environ)
        """
    )
    code = "saved_variables.to_fused(); t = saved_variables.create_access_token(live=False); print(t.token)"
    yield kernel.execute(code).check().text.strip()
    kernel.execute("saved_variables.delete_saved()").check()


@pytest.mark.parametrize("scheme", ["token", "Bearer", "Fused-Env-Bearer"])
def test_a_token_of_the_hub_is_the_owners_login(scheme: str, ana: HubUser, ben: HubUser) -> None:
    """Also to write; the name is that of the Hub's user. Nobody else's is."""
    headers = {"Authorization": f"{scheme} {ana.token}"}

    assert ana.get(f"{API}/user/self", headers=headers).json()["handle"] == "ana"
    assert ana.request("POST", f"{API}/collection/new", headers=headers, body=b"no object").status == 422
    for others in ({"Authorization": f"{scheme} {ben.token}"}, {}):
        for method, path in (("GET", "user/self"), ("POST", "collection/new"), ("DELETE", "udf/by-id/x")):
            body = b"{}" if method == "POST" else None
            assert ana.request(method, f"{API}/{path}", headers=others, body=body, login=False).status == 403


def test_a_page_writes_with_the_xsrf_header_only(ana: HubUser, ana_logged_in: Visitor) -> None:
    """As JupyterHub wants it of every page."""
    xsrf = ana_logged_in.cookie("_xsrf", ana.path)
    page = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}

    assert ana_logged_in.get(f"{ana.root}{API}/user/self", page | {"X-XSRFToken": xsrf}).json()["handle"] == "ana"
    assert ana_logged_in.get(f"{ana.root}{API}/user/self", page).status == 403


def test_a_token_of_a_saved_udf_needs_no_login(token: str, ana: HubUser, ben: HubUser) -> None:
    """Its host is a child of the user's server without the Hub's secrets; other users' servers do not know it."""
    before = [key.read_text() for key in ana.runtime_directory.glob("jpfused-*.json")]
    path = f"fused/{token}/run/tiles/0/0/0.json"

    seen = ana.get(path, login=False).json()

    server = psutil.Process(json.loads(before[0])["pid"])
    hub_token = server.environ()["JUPYTERHUB_API_TOKEN"]
    assert hub_token
    assert hub_token not in str(seen)
    hosts = [child for child in server.children() if "fused_jupyter" in command_of(child)]
    assert len(hosts) == 1
    family = [*hosts, *hosts[0].children(recursive=True)]
    assert [process for process in family if hub_token in process.environ().values()] == []
    assert ben.get(path, login=False).status == 404


def test_the_doctor_finds_the_way(kernel: Kernel) -> None:
    """From the kernel to its server and back, although only the browser knows how the world reaches it."""
    said = kernel.execute("%fused_doctor").check()

    assert "all hops work" in said.text or any("all hops work" in str(value) for value in said.values)
    assert "reaches this kernel's host" in str(said)
