"""Who may call: the checks that come before anything runs."""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError

_AUTHORIZATION = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)
_STOCK_PROVIDERS = (IdentityProvider, PasswordIdentityProvider)


def recognise_token(handler: JupyterHandler) -> User | None:
    """The user of a request with the server's own token in its header, found the short way; None leaves it to Jupyter.

    Jupyter's way gives the same answer but mints a login cookie for every request that has none: half of a tile's cost,
    and a cookie in every cache. Only Jupyter's own identity providers are known to allow this; any other one is asked.
    """
    provider = handler.identity_provider
    if type(provider) not in _STOCK_PROVIDERS or not provider.token:
        return None
    match = _AUTHORIZATION.fullmatch(handler.request.headers.get("Authorization", ""))
    if match is None or handler.request.query_arguments.get("token"):
        return None
    if not hmac.compare_digest(match[1].encode(), provider.token.encode()):
        return None
    return User(username="token", name="token", display_name="token")


def check_site(handler: JupyterHandler) -> None:
    """Refuse a request that another site's page made with the user's cookie: a GET here runs code.

    Browsers say where a request comes from; a page on another port of the same host is `same-site`, and no better.

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
        source = headers.get("Origin") or headers.get("Referer") or ""
        allowed = urlsplit(source).netloc == handler.request.host
    if not allowed:
        raise HTTPError(403, f"a page of another site may not run UDFs (Sec-Fetch-Site: {site}); use a token")
