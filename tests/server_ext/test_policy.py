from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.identity import LegacyIdentityProvider, PasswordIdentityProvider
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import Application, HTTPError, RequestHandler

from fused_jupyter.server_ext.policy import check_site, recognise_token

TOKEN = "0123456789abcdef"
HOST = "127.0.0.1:8888"


class Connection:
    """What a tornado handler wants to be connected to."""

    class _Context:
        remote_ip = "127.0.0.1"
        protocol = "http"

    context = _Context()

    def set_close_callback(self, callback: object) -> None:
        """Nobody closes this."""


class Handler(RequestHandler):
    """A request with the identity provider that the test wants."""

    identity_provider: IdentityProvider
    token_authenticated = False
    base_url = "/"


def handler(
    headers: Mapping[str, str],
    *,
    uri: str = "/fused/ping",
    provider: IdentityProvider | None = None,
    token: str = TOKEN,
) -> Any:
    start = RequestStartLine("GET", uri, "HTTP/1.1")
    request = HTTPServerRequest(
        start_line=start, headers=HTTPHeaders({"Host": HOST, **headers}), connection=Connection()
    )
    made = Handler(Application(cookie_secret="secret"), request)
    made.identity_provider = provider or PasswordIdentityProvider(token=token)
    return made


@pytest.mark.parametrize("scheme", ["token", "Token", "Bearer", "bearer"])
@pytest.mark.parametrize("provider", [IdentityProvider, PasswordIdentityProvider])
def test_the_server_token_in_the_header_is_known(scheme: str, provider: type[IdentityProvider]) -> None:
    """In every spelling that Jupyter takes."""
    user = recognise_token(handler({"Authorization": f"{scheme} {TOKEN}"}, provider=provider(token=TOKEN)))

    assert isinstance(user, User)


@pytest.mark.parametrize(
    "header",
    [
        *("", "token", "token ", TOKEN, "token wrong", f"token {TOKEN}x", f"token {TOKEN[:-1]}", f"token {TOKEN} x"),
        *(f"x token {TOKEN}", f"Basic {TOKEN}", f"token {TOKEN.upper()}", "token é"),
    ],
)
def test_anything_else_is_left_to_jupyter(header: str) -> None:
    """Nearly right is wrong."""
    assert recognise_token(handler({"Authorization": header})) is None


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
def test_no_other_text_is_the_token(text: str) -> None:
    """Nothing that comes in a header makes the comparison fail or succeed by accident."""
    assume(text.strip() != TOKEN)  # Hypothesis also tries what it finds in the source
    assert recognise_token(handler({"Authorization": f"token {text}"})) is None


@pytest.mark.parametrize("header", ["token ", "token", "Bearer ", ""])
def test_an_empty_token_opens_nothing(header: str) -> None:
    """Where Jupyter has no token, no header is one."""
    assert recognise_token(handler({"Authorization": header}, token="")) is None


def test_a_provider_of_somebody_else_is_asked() -> None:
    """A subclass may know more than the token: it decides."""

    class Own(PasswordIdentityProvider):
        pass

    for provider in (Own(token=TOKEN), LegacyIdentityProvider(token=TOKEN)):
        assert recognise_token(handler({"Authorization": f"token {TOKEN}"}, provider=provider)) is None


def test_a_token_in_the_query_goes_before_the_header() -> None:
    """As in Jupyter, which takes the query's; so it has to look at both."""
    assert recognise_token(handler({"Authorization": f"token {TOKEN}"}, uri="/fused/ping?token=wrong")) is None


def test_a_login_cookie_says_who_the_token_is() -> None:
    """An authorizer sees the same user as in the rest of Jupyter."""
    headers = {"Authorization": f"token {TOKEN}"}
    first = handler(headers)
    first.identity_provider.set_login_cookie(first, User(username="ana"))
    name, morsel = next(iter(first._new_cookie.items()))

    user = recognise_token(handler({**headers, "Cookie": f"{name}={morsel.value}"}))

    assert user is not None
    assert user.username == "ana"


def test_a_forged_cookie_says_nothing() -> None:
    """A cookie that the server did not sign is passed over."""
    headers = {"Authorization": f"token {TOKEN}", "Cookie": 'username-127-0-0-1-8888="2|1:0|10:1|forged"'}

    user = recognise_token(handler(headers))

    assert user is not None
    assert user.username == "token"


def test_no_cookie_is_minted() -> None:
    """A tile that sets a cookie cannot be cached."""
    request = handler({"Authorization": f"token {TOKEN}"})

    recognise_token(request)

    assert not hasattr(request, "_new_cookie")


SAME = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Referer": f"http://{HOST}/lab"},
    {"Origin": f"http://{HOST}"},
    {"Origin": f"http://{HOST}", "Referer": "http://evil.example/"},
]
OTHER = [
    {},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}", "Referer": f"http://{HOST}/"},
    {"Referer": "http://evil.example/"},
    {"Referer": f"http://evil.example/?{HOST}"},
    {"Referer": f"http://{HOST}@evil.example/"},
    {"Referer": f"http://evil@{HOST}/"},
    {"Referer": "http://127.0.0.1:9999/"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://evil.example", "Referer": f"http://{HOST}/"},
]


@pytest.mark.parametrize("headers", SAME, ids=str)
def test_pages_of_this_server_may_use_the_cookie(headers: dict[str, str]) -> None:
    """The notebook's own page, or an address that the user typed."""
    check_site(handler(headers))


@pytest.mark.parametrize("headers", OTHER, ids=str)
def test_pages_of_others_may_not(headers: dict[str, str]) -> None:
    """Who does not say where a request comes from is a stranger too."""
    with pytest.raises(HTTPError) as caught:
        check_site(handler(headers))
    assert caught.value.status_code == 403


@pytest.mark.parametrize("headers", OTHER, ids=str)
def test_a_token_needs_no_page(headers: dict[str, str]) -> None:
    """Whoever has the token was given it."""
    request = handler(headers)
    request.token_authenticated = True

    check_site(request)
