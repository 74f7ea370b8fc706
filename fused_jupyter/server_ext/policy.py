"""Who may call: the checks that come before anything runs."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, cast
from urllib.parse import urlsplit

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.decorator import authorized
from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

P = ParamSpec("P")
Method = Callable[P, Coroutine[Any, Any, None]]

_AUTHORIZATION = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)
STOCK_PROVIDERS = (IdentityProvider, PasswordIdentityProvider)
"""Jupyter's own, which take a user that we have recognised."""


def may_execute(method: Method[P]) -> Method[P]:
    """Let in only who is logged in and may run code.

    Every method of every route carries this or Jupyter's `allow_unauthenticated`. The action is always named: left
    open, Jupyter would take a GET for reading, and remember the first handler's answer for those that inherit it.
    """
    decorate = cast("Callable[[Method[P]], Method[P]]", authorized("execute", resource="fused"))
    return cast("Method[P]", web.authenticated(decorate(method)))


def recognise_token(handler: JupyterHandler) -> User | None:
    """The user of a request with the server's own token in its header, found the short way; None leaves it to Jupyter.

    Jupyter's way gives the same answer but mints a login cookie for every request that has none: half of a tile's cost,
    and a cookie in every cache. Only Jupyter's own identity providers are known to allow this; any other one is asked.
    """
    provider = handler.identity_provider
    if type(provider) not in STOCK_PROVIDERS or not provider.token:
        return None
    match = _AUTHORIZATION.fullmatch(handler.request.headers.get("Authorization", ""))
    if match is None or handler.request.query_arguments.get("token"):
        return None
    if not hmac.compare_digest(match[1].encode(), provider.token.encode()):
        return None
    # Beside the token, a login cookie says which user this is: an authorizer may care.
    known = provider.get_user_cookie(handler)
    return known if isinstance(known, User) else User(username="token", name="token", display_name="token")


def check_site(handler: JupyterHandler) -> None:
    """Refuse a request that another site's page made with the user's cookie: a GET here runs code.

    Browsers say where a request comes from; a page on another port of the same host is `same-site`, and no better.
    They say it in `Sec-Fetch-Site` only to HTTPS and to this machine; elsewhere `Origin` or `Referer` must do.

    Raises:
        HTTPError: 403.
    """
    if handler.token_authenticated:
        return  # no page has the token unless it was given it
    headers = handler.request.headers
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        allowed = _host_of(headers.get("Origin") or headers.get("Referer") or "") == handler.request.host
    if not allowed:
        raise web.HTTPError(
            403,
            "only a page of this server may run UDFs with a login cookie (Sec-Fetch-Site: %s); others send the header "
            "Authorization: token <token of the Jupyter server>, or, where it has none, Origin: <its address>",
            site,
        )


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).netloc
    except ValueError:  # no address at all, e.g. http://[
        return ""
