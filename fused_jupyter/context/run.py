"""The functions of `fused.context`. They tell of the run in which they are called, also in threads that it started."""

from __future__ import annotations

import os

from fused_jupyter.api.credentials import whoami
from fused_jupyter.api.udf import Udf
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.nesting import depth, headers, running

_SHARE_HEADER = "fused-share-token"
_CLIENT_ID = "local"
"""Of the only environment that there is; server_ext/hosted says the same."""


def get_headers() -> dict[str, str]:
    """Headers of the HTTP request that this run answers, their names in small letters.

    Only `accept-language`, `content-type`, `origin`, `user-agent` and those that begin with `x-fused-`: no cookie and
    nothing that opens something. There are none for a call from Python. Their values count for the cache: a result for
    one language is not given for another.

    >>> get_headers()
    {}
    """
    return dict(headers())


def get_header(name: str) -> str | None:
    """One of these headers, in whatever case its name is written.

    >>> get_header("Accept-Language") is None
    True
    """
    return headers().get(name.lower())


def get_share_token() -> str | None:
    """The token by which this run was asked for, by its public id; None where its owner asked.

    The id names a token in lists and opens nothing; that of a collection has the name of the UDF behind it.
    """
    return get_header(_SHARE_HEADER)


def get_session_token() -> None:
    """None: there are no session tokens here."""


def get_user_email() -> str | None:
    """Whose UDF this is: of this user, as `fused.api.whoami` has it, and no address for mail."""
    return whoami()["email"]


def get_execution_environment_id() -> None:
    """None: Fused's cloud has such environments."""


def get_realtime_client_id() -> str:
    """The name of the environment in which UDFs run, as addresses of the hosted API have it.

    >>> get_realtime_client_id()
    'local'
    """
    return _CLIENT_ID


def get_recursion_factor() -> int:
    """How many UDFs called this one, by one another: 0 for one that was run from the notebook or by its address.

    >>> get_recursion_factor()
    0
    """
    return depth()


def in_realtime() -> bool:
    """Whether this is a UDF that runs in a worker; in the notebook, and with `engine="kernel"`, it is not.

    >>> in_realtime()
    False
    """
    return running() is not None and WORKER_VARIABLE in os.environ


def in_batch() -> bool:
    """Whether this is a batch job; there are none yet.

    >>> in_batch()
    False
    """
    return False


def this_udf() -> Udf:
    """The UDF that runs.

    Raises:
        ValueError: none does.

    >>> this_udf()
    Traceback (most recent call last):
    ValueError: no UDF runs here; fused.context.this_udf() is for the code of a UDF
    """
    definition = running()
    if definition is None:
        raise ValueError("no UDF runs here; fused.context.this_udf() is for the code of a UDF")
    return Udf(definition)
