"""Who this user is, and what opens their own server: the key of the Jupyter server of this kernel, with no login."""

from __future__ import annotations

from fused_jupyter import settings
from fused_jupyter.errors import NoServerError
from fused_jupyter.runtime import current_kernel
from fused_jupyter.runtime.server import JupyterServer

AUTH_SCHEME = "Bearer"
"""What stands before the key in the header `Authorization`."""


def access_token() -> str:
    """The key that opens all of this user's routes at their Jupyter server: to run any code, as you may in a notebook.

    Give it to nobody, and print it into no notebook: who should run one UDF gets a token of that UDF,
    `udf.create_access_token()`. The key is of one life of the server.

    Raises:
        NoServerError: this kernel has no server, or this is the inside of a UDF.
    """
    server = _server()
    key = server.key or server.token
    if not key:
        raise NoServerError(
            "the Jupyter server of this kernel says no key, as it runs an older fused_jupyter: install this version in "
            "its environment, and restart it"
        )
    return key


def auth_scheme() -> str:
    """What stands before the access token in the header `Authorization`.

    >>> auth_scheme()
    'Bearer'
    """
    return AUTH_SCHEME


def whoami() -> dict[str, str | None]:
    """Who this user is, as their own server says it.

    Returns:
        `handle` is the name of the user on this machine or on JupyterHub; `email` is none that mail could be sent to.

    >>> sorted(whoami())
    ['email', 'handle', 'name']
    """
    return {**settings.whoami()}


def logout() -> None:
    """Nothing but a note: there is no login. The key ends with the Jupyter server.

    >>> logout()
    there is no login to end: the key is that of the Jupyter server, and ends with it
    """
    print("there is no login to end: the key is that of the Jupyter server, and ends with it")  # noqa: T201 - the note


class Credentials:
    """What opens this user's server, looked up each time, as servers are restarted. No repr shows it."""

    @property
    def access_token(self) -> str:
        """See `fused.api.access_token`."""
        return access_token()

    @property
    def auth_scheme(self) -> str:
        """See `fused.api.auth_scheme`."""
        return AUTH_SCHEME

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_place()}, key not shown>"


class NotebookCredentials(Credentials):
    """As the official client logs in from a notebook. Here nobody has to: whoever has the kernel is logged in.

    >>> NotebookCredentials()
    <NotebookCredentials: no Jupyter server, key not shown>
    """

    @property
    def url(self) -> str:
        """The address of the Jupyter server; there is nothing to be done there.

        Raises:
            NoServerError: this kernel has none.
        """
        server = _server()
        return server.local_url or server.url("")

    @property
    def credentials(self) -> Credentials:
        """These."""
        return self


class Authorization:
    """`fused._auth.AUTHORIZATION`: where the official client keeps its credentials."""

    @property
    def credentials(self) -> Credentials:
        """Those of this kernel's server."""
        return Credentials()

    def is_configured(self) -> bool:
        """Whether this kernel has a server that can be asked."""
        try:
            return bool(access_token())
        except NoServerError:
            return False

    def __repr__(self) -> str:
        return f"<Authorization: {_place()}, key not shown>"


AUTHORIZATION = CREDENTIALS = Authorization()
"""The same; the official client has had both names."""


def _server() -> JupyterServer:
    return current_kernel().server()


def _place() -> str:
    try:
        server = _server()
    except NoServerError:
        return "no Jupyter server"
    return server.local_url or server.url("")
