"""How a notebook shows web pages that UDFs return: in a frame that has nothing of the notebook's origin."""

from __future__ import annotations

import base64
import html
import sys
from typing import Any

_SANDBOX = "allow-scripts allow-forms allow-modals allow-popups allow-downloads"
"""Never `allow-same-origin`: the page's scripts would have the login of whoever looks at it."""


class Page(str):
    """HTML that a UDF returned: a text like any other, except that a notebook shows the page."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return framed(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # elsewhere it is text


def as_shown(value: Any) -> Any:
    """What a run gave, as a notebook is to show it; outside of notebooks, and if it is no page, the value itself."""
    if type(value) is not str or not _is_notebook():
        return value
    from fused_jupyter.formats import is_html

    return Page(value) if is_html(value) else value


def framed(page: str) -> str:
    """A page in a frame of its own.

    >>> framed("<h1>Hello</h1>")[:40]
    '<iframe title="result of a UDF" sandbox='
    """
    return (
        f'<iframe title="result of a UDF" sandbox="{_SANDBOX}" referrerpolicy="no-referrer" loading="lazy" '
        f'style="width:100%;height:480px;border:0;background:#fff" srcdoc="{html.escape(page)}"></iframe>'
    )


def response_as_html(response: Any) -> str | None:
    """How a notebook shows Starlette's `Response`; None leaves it to its repr."""
    media, _, _ = str(response.headers.get("content-type", "")).partition(";")
    body = getattr(response, "body", None)
    if not isinstance(body, (bytes, memoryview)):  # one that streams
        return None
    if media == "text/html":
        return framed(bytes(body).decode(response.charset, errors="replace"))
    if media in {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}:
        return f'<img alt="result of a UDF" src="data:{media};base64,{base64.b64encode(body).decode()}">'
    return None


def _is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None
