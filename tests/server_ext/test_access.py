"""Who may call, on real servers: what is refused runs nothing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from real_jupyter import JupyterServer, Kernel
from tornado.web import RequestHandler

from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.handlers import ROUTES
from fused_jupyter.server_ext.pages.assets import VERSION

SHARE, COLLECTION = "fsh_" + "x" * 43, "fc_" + "x" * 43
V1 = "fused/server/v1"
NAMED = "by-collection/default/by-slug/nobody"

PROTECTED = [
    "GET fused/ping?kernel={kernel}",
    "GET fused/health",
    "GET fused/metrics",
    "GET fused/runs",
    "GET fused/runs/0123456789ab",
    "GET fused/udfs",
    "GET fused/udfs/echo",
    "GET fused/run/file/echo.json",
    "GET fused/run/tiles/echo/0/0/0.json",
    "GET fused/static/map.js",
    "GET fused/nothing/here",
    # the hosted API
    f"GET {V1}/user/self",
    f"GET {V1}/realtime-instance/available",
    f"GET {V1}/execution-env/self",
    f"POST {V1}/realtime/local/api/v1/run/udf/start",
    f"GET {V1}/realtime/local/api/v1/run/udf/get/nothing",
    f"POST {V1}/realtime/local/api/v1/run/udf",
    f"GET {V1}/realtime/local/api/v1/run/udf/saved/me/nobody",
    "POST fused/run/udf",
    f"GET {V1}/udf/by-user-email/ana@localhost/{NAMED}",
    f"GET {V1}/udf/exec-env/self/{NAMED}",
    f"DELETE {V1}/udf/by-id/nothing",
    f"POST {V1}/udf/new",
    f"GET {V1}/udf/shared/by-token/{SHARE}",
    f"GET {V1}/udf/self",
    f"GET {V1}/udf/public",
    f"GET {V1}/collection/self",
    f"GET {V1}/collection/by-name/default",
    f"GET {V1}/collection/exec-env/by-slug/default",
    f"DELETE {V1}/collection/by-id/nothing",
    f"POST {V1}/collection/new",
    f"POST {V1}/collection/share?collection_id=nothing",
    f"POST {V1}/collection/unshare?collection_id=nothing",
    f"POST {V1}/udf-access-token/new",
    f"GET {V1}/udf-access-token/self",
    f"DELETE {V1}/udf-access-token/by-token/{SHARE}",
    f"DELETE {V1}/realtime-shared/local/udf-cache/by-id/nothing/delete",
    f"GET {V1}/nothing",
    f"GET {V1}/files/list?path=fd://",
    f"GET {V1}/files/list-details?path=fd://",
    f"GET {V1}/files/get?path=fd://nothing",
    f"GET {V1}/files/sign?path=fd://nothing",
    f"GET {V1}/files/sign_prefix?path=fd://nothing",
    f"GET {V1}/files/sign-upload?path=fd://nothing",
    f"DELETE {V1}/files/delete?path=fd://nothing",
    f"POST {V1}/files/resolve",
    f"POST {V1}/efs/local/list",
    f"GET {V1}/efs/local/download?item=nothing",
    f"POST {V1}/efs/local/upload",
    f"DELETE {V1}/efs/local/delete-file",
    # pages
    "GET fused/udfs/echo.html",
    "GET fused/udfs/echo/map",
    "GET fused/udfs.html",
    "GET fused/openapi.json",
    "GET fused/run/tiles/echo/tilejson.json",
    "GET fused/wmts",
    "GET fused/wmts/1.0.0/WMTSCapabilities.xml",
]
"""An address of each route that is the owner's, with a method that it has."""

SHARED = [
    f"GET fused/{SHARE}/openapi.json",
    f"GET fused/{SHARE}/wmts",
    f"GET fused/{SHARE}/wmts/1.0.0/WMTSCapabilities.xml",
    f"GET fused/{SHARE}/page",
    f"GET fused/{SHARE}/map",
    f"GET fused/{SHARE}/tilejson.json",
    f"GET fused/{COLLECTION}/",
    f"GET fused/{COLLECTION}/echo/page",
    f"GET fused/{COLLECTION}/echo/map",
    f"GET fused/{COLLECTION}/echo/tilejson.json",
    f"POST fused/{SHARE}.json",
    f"POST fused/{SHARE}/run/file.json",
    f"GET fused/{SHARE}/run/tiles/0/0/0.json",
    f"GET {V1}/realtime-shared/{COLLECTION}/echo.json",
    f"GET {V1}/realtime-shared/{COLLECTION}/echo/run",
    f"GET {V1}/realtime-shared/{COLLECTION}/echo/run/tiles/0/0/0",
    f"GET fused/{SHARE}/nothing/here",
]
"""An address of each route that is for whoever has a token; this one opens nothing."""

HARMLESS = [f"GET fused/pages/{VERSION}/page.js", f"GET {V1}/health"]
"""The code of pages, and that there is a server, which Fused's own client asks without its key."""

OPEN = [*SHARED, *HARMLESS, f"GET {V1}/files/signed/fd/nothing?expires=1&signature=x"]
"""Routes that ask for no login: tokens and signatures are in the address, and the others tell nothing."""

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
FILE = "fused/run/file/echo.json?cache_max_age=0"
"""Reaches the host each time, so that it can be counted."""


def counted(kernel: Kernel) -> int:
    return int(kernel.status()["requests"])


def route_of(asked: str) -> tuple[str, type[FusedHandler]]:
    """The first route that takes an address, as tornado finds it."""
    path = "/" + asked.partition(" ")[2].partition("?")[0]
    return next((pattern, handler) for pattern, handler in ROUTES if re.fullmatch(pattern, path))


def has(handler: type[FusedHandler], method: str) -> bool:
    return getattr(handler, method.lower()) is not RequestHandler._unimplemented_method


def test_every_route_has_an_address_here() -> None:
    """A new route cannot be forgotten: it fails here until the tests below know it."""
    assert {route_of(asked)[0] for asked in (*PROTECTED, *OPEN)} == {pattern for pattern, _ in ROUTES}
    for asked in (*PROTECTED, *OPEN):
        _, handler = route_of(asked)
        assert issubclass(handler, FusedHandler)
        assert has(handler, asked.partition(" ")[0]), asked


@pytest.mark.parametrize("asked", PROTECTED)
def test_the_addresses_work_with_the_token(asked: str, prefixed: JupyterServer, prefixed_kernel: Kernel) -> None:
    """Otherwise a refusal below would prove nothing. Many want more than an address, and say what."""
    method, _, address = asked.format(kernel=prefixed_kernel.id).partition(" ")

    answer = prefixed.request(method, address)

    assert answer.status in {200, 202, 204, 400, 404, 422}
    assert (
        address.startswith(V1) or method == "POST" or answer.status == 200 or "nothing" in address or "runs/" in address
    )


STRANGERS = [{}, {"Authorization": "token wrong"}, {"Authorization": "token "}, {"Cookie": "username-x=1"}]


@pytest.mark.parametrize("asked", PROTECTED)
def test_nobody_runs_anything_without_credentials(asked: str, server: JupyterServer, kernel: Kernel) -> None:
    """Every route, every method: refused, and the host was never asked."""
    before = counted(kernel)
    _, handler = route_of(asked)
    address = asked.format(kernel=kernel.id).partition(" ")[2]

    for method in METHODS:
        for headers in STRANGERS:
            answer = server.request(method, address, headers=headers, login=False)
            assert answer.status in ({401, 403} if has(handler, method) else {401, 403, 405}), (method, headers)
            assert "Location" not in answer.headers
            assert "Set-Cookie" not in answer.headers

    assert counted(kernel) == before


@pytest.mark.parametrize("asked", OPEN)
def test_nobody_runs_anything_where_no_login_is_asked_for(asked: str, server: JupyterServer, kernel: Kernel) -> None:
    """With a token or a signature that is none; a login beside it changes nothing."""
    before = counted(kernel)
    _, handler = route_of(asked)
    address = asked.partition(" ")[2]

    def ask(method: str, headers: dict[str, str]) -> None:
        answer = server.request(method, address, headers=headers, login=False)
        wanted = {200} if asked in HARMLESS else {403, 404, 422}
        assert answer.status in (wanted if has(handler, method) else {403, 405}), (method, headers)
        assert "Set-Cookie" not in answer.headers

    credentials = (*STRANGERS, {"Authorization": f"token {server.token}"})
    with ThreadPoolExecutor(8) as pool:  # each refusal of a token takes a tenth of a second
        list(pool.map(lambda pair: ask(*pair), itertools.product(("GET", "HEAD", "POST"), credentials)))

    assert counted(kernel) == before


@pytest.mark.parametrize("asked", PROTECTED)
def test_nobody_runs_anything_below_a_prefix(asked: str, prefixed: JupyterServer, prefixed_kernel: Kernel) -> None:
    """The same where Jupyter guards every route itself."""
    before = counted(prefixed_kernel)
    address = asked.format(kernel=prefixed_kernel.id).partition(" ")[2]

    for method in METHODS:
        answer = prefixed.request(method, address, login=False)
        assert answer.status in {401, 403, 405}
        assert "Location" not in answer.headers

    assert counted(prefixed_kernel) == before


@pytest.mark.parametrize("asked", [*PROTECTED, *OPEN])
def test_a_name_that_points_here_is_no_way_in(asked: str, server: JupyterServer, kernel: Kernel) -> None:
    """DNS rebinding: another Host is refused on all routes, also with the login and with a token."""
    before = counted(kernel)
    method, _, address = asked.format(kernel=kernel.id).partition(" ")

    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "8.8.8.8", ""):
        assert server.request(method, address, headers={"Host": host}).status == 403, host

    assert counted(kernel) == before


UNPROTECTED_IS_AN_ERROR = """
import warnings
from jupyter_server.utils import JupyterServerAuthWarning
warnings.filterwarnings("error", "Extension endpoints", JupyterServerAuthWarning)
"""


def test_jupyter_finds_nothing_unprotected(tmp_path: Path) -> None:
    """Booted with `allow_unauthenticated_access=False`, it would not start with a handler of ours that is open."""
    config = tmp_path / "config.py"
    config.write_text(UNPROTECTED_IS_AN_ERROR)
    arguments = (f"--config={config}", "--ServerApp.allow_unauthenticated_access=False")

    with JupyterServer(arguments=arguments) as server:
        assert server.get("fused/ping").status == 200
        assert "fused_jupyter | extension was successfully loaded" in server.log
        assert "Handler registered for /fused" not in server.log


def test_the_kernel_makes_addresses_below_the_prefix(prefixed: JupyterServer, prefixed_kernel: Kernel) -> None:
    """What `file_url` gives can be fetched as it is."""
    url = prefixed_kernel.execute("print(echo.file_url('json', n=3))").check().text.strip()

    assert url.startswith(prefixed.root)
    assert prefixed.get(url).json() == {"n": 3}


# -- a page in a browser: the login cookie, and where the request comes from

SITES: dict[str, tuple[dict[str, str], bool]] = {
    "same-origin": ({"Sec-Fetch-Site": "same-origin"}, True),
    "typed by hand": ({"Sec-Fetch-Site": "none"}, True),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, False),
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "nothing said": ({}, False),
    "own referer": ({"Referer": "{root}lab"}, True),
    "own origin": ({"Origin": "{origin}"}, True),
    "other referer": ({"Referer": "http://evil.example/"}, False),
    "other origin": ({"Origin": "http://evil.example"}, False),
    "other port": ({"Referer": "http://127.0.0.1:1/"}, False),
    "opaque origin": ({"Origin": "null"}, False),
    "broken origin": ({"Origin": "http://["}, False),
}
CREDENTIALS = ["cookie", "header", "query", "none"]


@pytest.fixture(scope="module")
def cookie(server: JupyterServer) -> str:
    """Jupyter's login cookie."""
    return server.login_cookie()


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("site", SITES)
def test_no_page_of_another_site_runs_a_udf(
    credential: str, site: str, server: JupyterServer, kernel: Kernel, cookie: str
) -> None:
    """A cookie runs UDFs from this server's pages only; a token from anywhere; nothing from nowhere."""
    said, is_ours = SITES[site]
    headers = {name: value.format(root=server.root, origin=server.root.rstrip("/")) for name, value in said.items()}
    given = {
        "cookie": (headers | {"Cookie": cookie}, FILE),
        "header": (headers | {"Authorization": f"Bearer {server.token}"}, FILE),
        "query": (headers, f"{FILE}&token={server.token}"),
        "none": (headers, FILE),
    }
    sent, address = given[credential]
    before = counted(kernel)

    answer = server.get(address, headers=sent, login=False)

    is_allowed = credential in {"header", "query"} or (credential == "cookie" and is_ours)
    assert answer.status == (200 if is_allowed else 403)
    assert counted(kernel) - before == int(is_allowed)


def test_a_page_of_another_site_reads_no_list(server: JupyterServer, cookie: str, kernel: Kernel) -> None:
    """Names and parameters are not for strangers either."""
    private = ("fused/udfs", "fused/udfs/echo", "fused/ping", "fused/static/map.js", "fused/runs", "fused/metrics")
    for address in private:
        answer = server.get(address, headers={"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}, login=False)
        assert answer.status == 403


def test_a_response_to_a_cookie_is_for_this_origin(server: JupyterServer, cookie: str, kernel: Kernel) -> None:
    """No page elsewhere gets it embedded out of the browser's cache, nor may read it."""
    own = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}

    answer = server.get(FILE, headers=own, login=False)

    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_post_with_a_cookie_needs_the_xsrf_token(server: JupyterServer, kernel: Kernel, cookie: str) -> None:
    """Jupyter's own protection of forms stands."""
    own = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    before = counted(kernel)

    bare = server.request("POST", FILE, headers={**own, "Cookie": cookie}, body=b'{"n": 5}', login=False)

    assert bare.status == 403
    assert counted(kernel) == before
    secret = "0123456789abcdef" * 2
    proof = {"Cookie": f"{cookie}; _xsrf={secret}", "X-XSRFToken": secret}
    assert server.request("POST", FILE, headers={**own, **proof}, body=b'{"n": 5}', login=False).json()["n"] == 5


def test_the_token_in_a_header_mints_no_cookie(server: JupyterServer, kernel: Kernel) -> None:
    """Neither a result nor an error carries one: it would sit in every cache."""
    for address in (FILE, "fused/run/file/no_such_udf", "fused/run/tiles/echo/9/9/9999.png"):
        for headers in ({}, {"Authorization": f"Bearer {server.token}"}):
            assert "Set-Cookie" not in server.get(address, headers=headers).headers


def test_a_wrong_token_in_the_query_is_not_outvoted(server: JupyterServer, kernel: Kernel) -> None:
    """Jupyter takes the query's token before the header's; so do we."""
    assert server.get(f"{FILE}&token=wrong").status == 403
    assert server.get(f"{FILE}&token={server.token}", login=False).status == 200


def test_a_token_beside_a_dead_cookie_is_enough(server: JupyterServer, kernel: Kernel) -> None:
    """A cookie of an earlier server does not lock out who has the token."""
    name = server.login_cookie().partition("=")[0]

    assert server.get(FILE, headers={"Cookie": f'{name}="2|1:0|10:1|dead"'}).status == 200


# -- providers and authorizers of somebody else


@pytest.mark.parametrize("asked", PROTECTED)
def test_provider_and_authorizer_have_the_last_word(asked: str, strict: JupyterServer, strict_kernel: Kernel) -> None:
    """The right token does not help where the provider knows better, or the user may not execute."""
    before = counted(strict_kernel)
    method, _, address = asked.format(kernel=strict_kernel.id).partition(" ")

    for header in ("X-Stranger", "X-Read-Only"):
        assert strict.request(method, address, headers={header: "1"}).status == 403

    assert counted(strict_kernel) == before
    assert strict.request(method, address).status in {200, 400, 404, 422}


def test_refusals_are_short_json(server: JupyterServer, kernel: Kernel) -> None:
    """No login page, no redirect, nothing that a cache may keep."""
    answer = server.get(FILE, login=False)

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Authorization: token" in answer.json()["error"]
    assert server.token not in answer.body.decode()


def test_the_counter_of_these_tests_counts(runs: Callable[[], int], server: JupyterServer) -> None:
    """A request that is let in is seen by the host."""
    before = runs()

    server.get(FILE)

    assert runs() == before + 1
