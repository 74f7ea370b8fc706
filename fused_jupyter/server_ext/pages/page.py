"""HTML pages: one UDF with its form, its result and its snippets, and lists of UDFs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from fused_jupyter.server_ext.pages.assets import VERSION
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.form import form
from fused_jupyter.server_ext.pages.html import data, document, new


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page stands; all addresses, those of entries too, are relative to it: it works behind any proxy."""

    assets: str
    """The way to `fused/pages/`."""
    nonce: str
    """Of this one answer: only scripts that carry it run."""
    links: tuple[tuple[str, str], ...] = ()
    """Text and address of what else there is."""
    wmts: str = ""
    map: str = ""
    """The way to the page that is all map."""
    is_owner: bool = False


def policy(nonce: str) -> str:
    """The `Content-Security-Policy` of a page: nothing from elsewhere, no script but ours, in no foreign frame."""
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "frame-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def udf_page(entry: Entry, place: Place) -> bytes:
    """The page of one UDF."""
    columns = new(
        "div",
        new("section", new("h2", "Parameters"), form(entry), aria_label="Parameters"),
        new("section", new("h2", "Result"), _result(), aria_label="Result"),
        class_="columns",
    )
    sections = [
        columns,
        *([_map()] if entry.drawn else []),
        _snippets(),
        data("udf", _told(entry, place)),
    ]
    script = new("script", type="module", src=f"{place.assets}{VERSION}/page.js", nonce=place.nonce)
    body = new("main", _header(entry.name, entry.description, place), sections)
    return document(title=entry.name, head=[_style(place), script], body=[body])


def list_page(entries: Sequence[Entry], place: Place, *, title: str, addresses: Sequence[str]) -> bytes:
    """A page that lists UDFs.

    Args:
        entries: the UDFs.
        place: where the page stands.
        title: its title.
        addresses: of the page of each UDF, as seen from this one.
    """
    rows = [
        new(
            "tr",
            new("td", new("a", entry.name, href=address)),
            new("td", entry.description.strip().partition("\n")[0]),
            new("td", ", ".join(entry.properties), class_="hideable"),
            new("td", "tiles" if entry.spatial is not None else "", class_="hideable"),
        )
        for entry, address in zip(entries, addresses, strict=True)
    ]
    heads = [new("th", "UDF", scope="col"), new("th", "what it gives", scope="col")]
    heads += [new("th", text, scope="col", class_="hideable") for text in ("parameters", "map")]
    table = new("table", new("thead", new("tr", heads)), new("tbody", rows), class_="list")
    content = table if entries else new("p", "There are none yet: run a cell that starts with %%fused_udf.")
    body = new("main", _header(title, "", place), new("section", content))
    return document(title=title, head=[_style(place)], body=[body])


def _header(title: str, description: str, place: Place) -> Element:
    links = [new("a", text, href=address) for text, address in place.links]
    told = [new("p", description.strip(), class_="told")] if description.strip() else []
    return new("header", new("h1", title), told, new("nav", links, aria_label="More"))


def _result() -> list[Element]:
    link = new("a", id="address", target="_blank", rel="noopener")
    return [
        new("div", link, new("button", "copy", type="button", data_copies="address"), class_="address"),
        new("p", "not run yet", id="status", role="status"),
        new("div", id="result"),
    ]


def _map() -> Element:
    link = new("a", "in a page of its own", id="map-link", target="_blank", rel="noopener")
    heading = new("h2", "Map ", new("small", link))
    return new("section", heading, new("div", id="map"), id="map-section", hidden=True, aria_label="Map")


def _snippets() -> Element:
    code = new("pre", id="snippet", role="tabpanel", tabindex=0)
    copy = new("button", "copy", type="button", data_copies="snippet")
    return new(
        "section",
        new("h2", "In other programs"),
        new("div", role="tablist", aria_label="Program"),
        new("div", code, copy, class_="code"),
        aria_label="In other programs",
    )


def _style(place: Place) -> Element:
    return new("link", rel="stylesheet", href=f"{place.assets}{VERSION}/page.css")


def _told(entry: Entry, place: Place) -> dict[str, Any]:
    """What the page's script has to know. Twin: assets/page.js."""
    return {
        "name": entry.name,
        "file": entry.file,
        "tiles": entry.tiles if entry.drawn else None,
        "first": "json" if "json" in entry.formats else entry.formats[0],
        "spatial": entry.spatial,
        "zooms": entry.zooms,
        "map": place.map,
        "wmts": place.wmts,
        "is_owner": place.is_owner,
    }
