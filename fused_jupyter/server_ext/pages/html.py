"""HTML as a tree, so that every text is escaped wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, tostring

import orjson

_FOR_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def new(tag: str, *children: Element | str | Iterable[Element], **attributes: object) -> Element:
    """An element; attributes that are None or False are left out, `_` at their end and between words goes.

    >>> tostring(new("a", "<b>", href="x", data_n=1, hidden=False)).decode()
    '<a href="x" data-n="1">&lt;b&gt;</a>'
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    made = Element(tag, {name: _attribute(name, value) for name, value in named.items() if not _is_absent(value)})
    for child in children:
        _append(made, child)
    return made


def data(name: str, value: Any) -> Element:  # whatever JSON carries
    """JSON for the page's script, which no browser takes for code."""
    text = orjson.dumps(value).decode()
    for letter, spelled in _FOR_SCRIPTS.items():
        text = text.replace(letter, spelled)
    return new("script", text, type="application/json", id=name)


def document(*, title: str, head: Iterable[Element], body: Iterable[Element]) -> bytes:
    """A whole page."""
    top = new(
        "head",
        new("meta", charset="utf-8"),
        new("title", title),
        new("meta", name="viewport", content="width=device-width, initial-scale=1"),
        new("meta", name="robots", content="noindex"),
        head,
    )
    written: bytes = tostring(new("html", top, new("body", body), lang="en"), encoding="utf-8", method="html")
    return b"<!doctype html>\n" + written


def _append(parent: Element, child: Element | str | Iterable[Element]) -> None:
    if isinstance(child, str):
        text = "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in child)
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + text
        else:
            parent.text = (parent.text or "") + text
    elif isinstance(child, Element):
        parent.append(child)
    else:
        parent.extend(child)


def _is_absent(value: object) -> bool:
    return value is None or value is False


def _attribute(name: str, value: object) -> str:
    return name if value is True else str(value)
