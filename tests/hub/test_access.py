"""Behind a real JupyterHub: who may call, with which credentials; what is refused runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from real_hub import HubUser, JupyterHub, Visitor
from real_jupyter import Kernel, eventually

ADDRESSES = [
    "fused/run/file/echo.json?n=3&cache_max_age=0",  # reaches the host each time, so that it can be counted
    "fused/run/tiles/echo/1/0/0.json?n=3&cache_max_age=0",
]
FETCH = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
IMAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"}
TYPED = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}


def counted(kernel: Kernel) -> int:
    return int(kernel.status()["requests"])


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("scheme", ["token", "Bearer", "Fused-Env-Bearer"])
def test_a_token_of_the_hub_opens_all(address: str, scheme: str, ana: HubUser, kernel: Kernel) -> None:
    """Through the proxy, in Jupyter's ways and in that of Fused's client; a request with a token gets no cookie."""
    before = counted(kernel)

    answer = ana.get(address, headers={"Authorization": f"{scheme} {ana.token}"})

    assert (answer.status, answer.json()) == (200, {"n": 3})
    assert "Set-Cookie" not in answer.headers
    assert counted(kernel) == before + 1


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    ("headers", "has_xsrf"),
    [(FETCH, True), (IMAGE, False), (TYPED, False), ({"Referer": "{root}lab"}, False)],
    ids=["fetch", "image", "typed", "without Sec-Fetch"],
)
def test_the_cookie_opens_all_for_the_users_own_pages(
    address: str, headers: Mapping[str, str], *, has_xsrf: bool, ana: HubUser, ana_logged_in: Visitor, kernel: Kernel
) -> None:
    """A page's fetch with the XSRF header that JupyterHub wants, an image in it, and the address typed by hand."""
    headers = {name: text.format(root=ana.root) for name, text in headers.items()}
    xsrf = {"X-XSRFToken": ana_logged_in.cookie("_xsrf", ana.path)} if has_xsrf else {}

    answer = ana_logged_in.get(ana.root + address, {**headers, **xsrf})

    assert (answer.status, answer.json()) == (200, {"n": 3})


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        FETCH,
        {**FETCH, "X-XSRFToken": "ben's"},
        {**FETCH, "X-XSRFToken": "made up"},
        {**TYPED, "Sec-Fetch-Site": "cross-site"},
        {**IMAGE, "Sec-Fetch-Site": "cross-site"},
        {**IMAGE, "Sec-Fetch-Site": "same-site"},
        {"Referer": "http://evil.example/"},
        {},
    ],
    ids=str,
)
def test_the_cookie_opens_nothing_for_other_pages(
    address: str,
    headers: dict[str, str],
    ana: HubUser,
    ben: HubUser,
    ana_logged_in: Visitor,
    ben_logged_in: Visitor,
    kernel: Kernel,
) -> None:
    """Not without the right XSRF token where the page could read the answer, and never from another site."""
    if headers.get("X-XSRFToken") == "ben's":
        headers = {**headers, "X-XSRFToken": ben_logged_in.cookie("_xsrf", ben.path)}
    before = counted(kernel)

    answer = ana_logged_in.get(ana.root + address, headers)

    assert answer.status == 403
    assert counted(kernel) == before


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_user_runs_nothing(
    address: str, ana: HubUser, ben: HubUser, ben_logged_in: Visitor, kernel: Kernel
) -> None:
    """Ben's token, his cookies, and his cookies under ana's names are worth nothing at her server, but are at his."""
    cookie = ben_logged_in.cookie("jupyterhub-user-ben", ben.path)
    xsrf = ben_logged_in.cookie("_xsrf", ben.path)
    renamed = {"Cookie": f"jupyterhub-user-ana={cookie}; _xsrf={xsrf}", "X-XSRFToken": xsrf}
    before = counted(kernel)

    answers = [
        ana.get(address, login=False),
        ana.get(address, headers={"Authorization": f"Bearer {ben.token}"}),
        ana.get(address, headers={**FETCH, **renamed}, login=False),
        ana.get(address, headers={**TYPED, **renamed}, login=False),
        ben_logged_in.get(ana.root + address, {**FETCH, "X-XSRFToken": xsrf}),
        ben_logged_in.get(ana.root + address, TYPED),
    ]

    assert [answer.status for answer in answers] == [403] * 6
    assert counted(kernel) == before
    assert ben_logged_in.get(f"{ben.root}fused/ping", {**FETCH, "X-XSRFToken": xsrf}).status == 200


@pytest.mark.parametrize("address", ADDRESSES)
def test_another_users_server_knows_nothing_of_it(address: str, ben: HubUser, kernel: Kernel) -> None:
    """The UDFs of ana's kernel are not there, also if its number is named."""
    before = counted(kernel)

    assert ben.get("fused/udfs").json() == {"udfs": []}
    assert ben.get(address).status == 404
    assert ben.get(f"{address}&kernel={kernel.id}").status == 404
    assert counted(kernel) == before


def test_a_token_without_access_to_the_server_runs_nothing(hub: JupyterHub, ana: HubUser, kernel: Kernel) -> None:
    """A token of ana's own that the Hub made for something else is refused; so is a token in the query."""
    narrow = hub.ask("POST", "users/ana/tokens", {"scopes": ["read:users:name!user"]})["token"]
    before = counted(kernel)

    assert ana.get(ADDRESSES[0], headers={"Authorization": f"Bearer {narrow}"}).status == 403
    assert ana.get(f"{ADDRESSES[0]}&token={ana.token}", login=False).status == 403
    assert counted(kernel) == before


# -- tokens of a UDF


@pytest.fixture(scope="module")
def share(kernel: Kernel) -> str:
    code = "from fused_jupyter.runtime import current; print(current().grant('echo'))"
    return kernel.execute(code).check().text.strip()


def test_a_udfs_token_needs_no_login(share: str, ana: HubUser, ben_logged_in: Visitor) -> None:
    """The Hub lets through who has it, be it a stranger or another user, and neither gets a cookie."""
    url = f"{ana.root}fused/{share}/run/tiles/0/0/0.json?n=4"

    for answer in (ana.get(url, login=False), ben_logged_in.get(url, {"Sec-Fetch-Site": "cross-site"})):
        assert (answer.status, answer.json()) == (200, {"n": 4})
        assert "Set-Cookie" not in answer.headers


def test_a_udfs_token_opens_nothing_else(share: str, ana: HubUser, ben: HubUser, kernel: Kernel) -> None:
    """Not at another user's server, and no route of the owner's."""
    before = counted(kernel)

    assert ben.get(f"fused/{share}/run/tiles/0/0/0.json", login=False).status == 404
    for headers in ({"Authorization": f"Bearer {share}"}, {"Cookie": f"jupyterhub-user-ana={share}"}):
        assert ana.get(ADDRESSES[0], headers=headers, login=False).status == 403
    assert counted(kernel) == before


def test_the_log_does_not_have_a_udfs_token(share: str, hub: JupyterHub, ana: HubUser, kernel: Kernel) -> None:
    """Neither the server's nor the Hub's nor the proxy's."""
    assert ana.get(f"fused/{share}/run/tiles/0/0/0.json?n=x", login=False).status == 422

    eventually(lambda: "422 GET" in hub.log)
    assert share not in hub.log


# -- programs of the owner's, on the same machine


def test_the_owners_key_opens_the_server_without_the_hub(ana: HubUser, ben: HubUser, kernel: Kernel) -> None:
    """A kernel finds its server's own address and key; the key of another server is worth nothing there."""
    find = "from pathlib import Path; from jupyter_core.paths import jupyter_runtime_dir as d; import json; "
    find += "from fused_jupyter.runtime.server import find_server; s = find_server(Path(d())); "
    found = json.loads(
        kernel.execute(find + "print(json.dumps([s.local_url, s.key, s.url('fused/ping')]))").check().text
    )
    local_url, key, path = found
    bens = [json.loads(file.read_text())["key"] for file in ben.runtime_directory.glob("jpfused-*.json")]

    assert local_url.endswith(ana.path)
    assert not local_url.startswith(ana.root)
    assert path == f"{ana.path}fused/ping"
    assert ana.get(f"{local_url}{ADDRESSES[0]}", headers={"Authorization": f"Bearer {key}"}).json() == {"n": 3}
    assert len(bens) == 1
    assert ana.get(f"{local_url}{ADDRESSES[0]}", headers={"Authorization": f"Bearer {bens[0]}"}).status == 403
