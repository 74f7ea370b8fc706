"""Who may call, on real servers: what is refused runs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from real_jupyter import JupyterServer, Kernel
from tornado.web import RequestHandler

from fused_jupyter.server_ext import handlers
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.handlers import ROUTES
from fused_jupyter.server_ext.pages import owner
from fused_jupyter.server_ext.pages.assets import VERSION

SHARE = "fsh_" + "x" * 43
ADDRESSES = {
    handlers.PingHandler: "fused/ping?kernel={kernel}",
    handlers.HealthHandler: "fused/health",
    handlers.MetricsHandler: "fused/metrics",
    handlers.RunsHandler: "fused/runs",
    handlers.RunHandler: "fused/runs/0123456789ab",
    handlers.UdfsHandler: "fused/udfs",
    handlers.UdfHandler: "fused/udfs/echo",
    handlers.FileHandler: "fused/run/file/echo.json",
    owner.TileJsonHandler: "fused/run/tiles/echo/tilejson.json",
    owner.UdfPageHandler: "fused/udfs/echo.html",
    owner.ListPageHandler: "fused/udfs.html",
    owner.AssetHandler: f"fused/pages/{VERSION}/page.js",
    owner.OpenApiHandler: "fused/openapi.json",
    owner.WmtsHandler: "fused/wmts",
    owner.WmtsCapabilitiesHandler: "fused/wmts/1.0.0/WMTSCapabilities.xml",
    handlers.TileHandler: "fused/run/tiles/echo/0/0/0.json",
    handlers.SharedTileHandler: f"fused/{SHARE}/run/tiles/0/0/0.json",
    handlers.StaticHandler: "fused/static/map.js",
    handlers.MissingHandler: "fused/nothing/here",
}
"""One address of each route, which answers without an error to whoever may call; three are there to answer 404."""

PROTECTED = [handler for handler in ADDRESSES if handler not in {handlers.SharedTileHandler, owner.AssetHandler}]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
FILE = "fused/run/file/echo.json?cache_max_age=0"
"""Reaches the host each time, so that it can be counted."""

RESPONSES_OF_404 = {handlers.SharedTileHandler, handlers.MissingHandler, handlers.RunHandler}


def counted(kernel: Kernel) -> int:
    return int(kernel.status()["requests"])


def test_every_route_has_an_address_here() -> None:
    """A new route cannot be forgotten: it fails here until the tests below know it."""
    assert set(ADDRESSES) == {handler for _, handler in ROUTES}
    for pattern, handler in ROUTES:
        assert re.fullmatch(pattern, "/" + ADDRESSES[handler].partition("?")[0])
        assert issubclass(handler, FusedHandler)


@pytest.mark.parametrize("handler", ADDRESSES, ids=lambda handler: handler.__name__)
def test_the_addresses_work_with_the_token(
    handler: type[FusedHandler], prefixed: JupyterServer, prefixed_kernel: Kernel
) -> None:
    """Otherwise a refusal below would prove nothing."""
    answer = prefixed.get(ADDRESSES[handler].format(kernel=prefixed_kernel.id))

    assert answer.status == (404 if handler in RESPONSES_OF_404 else 200)


STRANGERS = [{}, {"Authorization": "token wrong"}, {"Authorization": "token "}, {"Cookie": "username-x=1"}]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("handler", PROTECTED, ids=lambda handler: handler.__name__)
@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_nobody_runs_anything_without_credentials(
    method: str, handler: type[FusedHandler], headers: dict[str, str], server: JupyterServer, kernel: Kernel
) -> None:
    """Every route, every method: refused, and the host was never asked."""
    before = counted(kernel)

    answer = server.request(method, ADDRESSES[handler].format(kernel=kernel.id), headers=headers, login=False)

    is_there = getattr(handler, method.lower()) is not RequestHandler._unimplemented_method
    assert answer.status in ({401, 403} if is_there else {401, 403, 405})
    assert "Location" not in answer.headers
    assert counted(kernel) == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("address", [ADDRESSES[handler] for handler in PROTECTED])
def test_nobody_runs_anything_below_a_prefix(
    method: str, address: str, prefixed: JupyterServer, prefixed_kernel: Kernel
) -> None:
    """The same where Jupyter guards every route itself."""
    before = counted(prefixed_kernel)

    answer = prefixed.request(method, address.format(kernel=prefixed_kernel.id), login=False)

    assert answer.status in {401, 403}
    assert "Location" not in answer.headers
    assert counted(prefixed_kernel) == before


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "8.8.8.8", ""])
@pytest.mark.parametrize("address", ADDRESSES.values())
def test_a_name_that_points_here_is_no_way_in(host: str, address: str, server: JupyterServer, kernel: Kernel) -> None:
    """DNS rebinding: another Host is refused on all routes, also with the token and with a share."""
    before = counted(kernel)

    answer = server.get(address.format(kernel=kernel.id), headers={"Host": host.format(port=server.port)})

    assert answer.status == 403
    assert counted(kernel) == before


def test_jupyter_finds_nothing_unprotected(prefixed: JupyterServer) -> None:
    """Booted with `allow_unauthenticated_access=False`, the server warns about no handler of ours."""
    assert prefixed.get("fused/ping").status == 200
    warned = [line for line in prefixed.log.splitlines() if "fused" in line and "Handler" in line]
    assert not warned
    assert "fused_jupyter | extension was successfully loaded" in prefixed.log


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


@pytest.mark.parametrize("header", ["X-Stranger", "X-Read-Only"])
@pytest.mark.parametrize("address", [ADDRESSES[handler] for handler in PROTECTED])
def test_provider_and_authorizer_have_the_last_word(
    header: str, address: str, strict: JupyterServer, strict_kernel: Kernel
) -> None:
    """The right token does not help where the provider knows better, or the user may not execute."""
    before = counted(strict_kernel)
    address = address.format(kernel=strict_kernel.id)

    refused = strict.get(address, headers={header: "1"})

    assert refused.status == 403
    assert counted(strict_kernel) == before
    assert strict.get(address).status in {200, 404}


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
