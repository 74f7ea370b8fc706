"""Which environment variables open a server."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET = re.compile(
    r"(JPY|JUPYTER|JUPYTERHUB|CONFIGPROXY|FUSED)_([A-Z0-9_]*_)?"
    r"(TOKEN|SECRET|COOKIE|PASSWORD|PASSWD|CRYPT_KEY|API_KEY)(_[A-Z0-9_]*|S)?"
)
"""JUPYTER_TOKEN, JUPYTERHUB_API_TOKEN, JPY_API_TOKEN, CONFIGPROXY_AUTH_TOKEN, FUSED_AUTH_TOKEN and the like."""


def is_secret(name: str) -> bool:
    """Whether a variable opens a server or a hub; no UDF gets to see it.

    >>> is_secret("JUPYTERHUB_API_TOKEN"), is_secret("AWS_SECRET_ACCESS_KEY")
    (True, False)
    """
    return _SECRET.fullmatch(name) is not None


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of ours."""
    return {name: value for name, value in variables.items() if not is_secret(name)}
