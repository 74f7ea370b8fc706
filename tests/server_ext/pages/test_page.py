from __future__ import annotations

import json
from typing import Any

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.form import form
from fused_jupyter.server_ext.pages.html import new
from fused_jupyter.server_ext.pages.page import Place, list_page, policy, udf_page

PLACE = Place(assets="../pages/", nonce="abc", links=(("OpenAPI", "../openapi.json"),), wmts="../wmts/x.xml")


def entry(properties: dict[str, Any] | None = None, **fields: Any) -> Entry:
    required = fields.pop("required", [])
    schema = {"properties": properties or {}, "required": required}
    return Entry(**({"name": "f", "schema": schema, "file": "../run/file/f", "tiles": "../run/tiles/f"} | fields))


def page(one: Entry) -> Any:
    """As a browser's parser sees it."""
    return lxml.html.document_fromstring(udf_page(one, PLACE).decode())


def inputs(properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
    root = page(entry(properties, **fields))
    return {each.get("name"): each for each in root.xpath("//*[@data-parameter]")}


@given(st.text(), st.text(), st.text())
def test_no_text_becomes_markup(description: str, default: str, choice: str) -> None:
    """Docstrings, defaults and choices come back as they are, and add no element."""
    properties = {"a": {"type": "string", "default": default}, "b": {"enum": [choice]}}
    plain = page(entry({"a": {"type": "string", "default": "x"}, "b": {"enum": ["y"]}}, description="z"))

    root = page(entry(properties, description=f"z{description}"))

    assert len(root.xpath("//*")) == len(plain.xpath("//*"))
    if default.isprintable():
        assert root.xpath("//*[@name='a']/@value") == [default]


def test_nothing_breaks_out_of_its_place() -> None:
    """What ends elements, comments and scripts elsewhere is text here."""
    evil = "</script></style></title></textarea>--><img src=x onerror=alert(1)>\"'"

    root = page(entry({"a": {"default": evil}, "b": {"enum": [evil]}}, name=evil, description=evil, file=evil))

    assert not root.xpath("//img")
    assert len(root.xpath("//script | //style | //title | //textarea")) == 3
    assert root.xpath("//h1/text()") == [evil]
    assert json.loads(root.xpath("//script[@id='udf']/text()")[0])["name"] == evil
    assert not root.xpath("//*[@onerror or @onclick or @style]")


def test_only_our_script_runs() -> None:
    """One script, which carries the nonce; nothing from elsewhere, no handler or style in the markup."""
    root = page(entry({"n": {"type": "integer"}}))

    scripts = [each for each in root.xpath("//script") if each.get("type") != "application/json"]
    assert [(each.get("nonce"), each.text) for each in scripts] == [("abc", None)]
    addresses = root.xpath("//@src | //@href")
    assert addresses
    assert not [address for address in addresses if "//" in address]
    rules = dict(rule.split(" ", 1) for rule in policy("abc").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'nonce-abc'"
    assert not [rule for rule in rules.values() if "unsafe" in rule or "*" in rule]


def test_inputs_are_as_the_types() -> None:
    """Numbers, dates, choices and boxes to tick; all else is a line of text."""
    found = inputs(
        {
            "whole": {"type": "integer", "default": 3},
            "half": {"type": ["number", "null"]},
            "flag": {"type": "boolean", "default": True},
            "off": {"type": "boolean"},
            "day": {"type": "string", "format": "date"},
            "choice": {"enum": ["a", 2, None], "default": 2},
            "open": {"enum": ["a", "b"]},
            "text": {"type": "string", "default": "x"},
            "many": {"type": "array", "items": {"type": "integer"}, "default": [1, 2]},
            "mixed": {"anyOf": [{"type": "integer"}, {"type": "string"}], "default": 1},
            "format": {"type": "string"},
        }
    )

    kinds = {name: each.get("type", each.tag) for name, each in found.items()}
    assert kinds == {
        "whole": "number", "half": "number", "flag": "checkbox", "off": "checkbox", "day": "date", "choice": "select",
        "open": "select", "text": "text", "many": "text", "mixed": "text",
    }  # fmt: skip
    initial = {name: each.get("data-initial") for name, each in found.items()}
    assert initial == {
        "whole": "3", "half": "", "flag": "true", "off": "false", "day": "", "choice": "2", "open": "", "text": "x",
        "many": "[1,2]", "mixed": "1",
    }  # fmt: skip
    assert (found["whole"].get("step"), found["half"].get("step")) == ("1", "any")
    assert [each.get("value") for each in found["choice"].xpath("option[@selected]")] == ["2"]
    assert [each.get("value") for each in found["open"].xpath("option[@selected]")] == [""]
    assert (found["flag"].get("checked"), found["off"].get("checked")) == ("checked", None)


def test_every_input_has_a_label_and_says_what_is_needed() -> None:
    """For those who do not see the page."""
    root = page(entry({"a": {"type": "integer"}, "flag": {"type": "boolean"}}, required=["a", "flag"]))

    for each in root.xpath("//input | //select"):
        assert root.xpath(f"//label[@for='{each.get('id')}']")
    assert root.xpath("//input[@required]/@name") == ["a"]


def test_only_udfs_with_tiles_have_a_map() -> None:
    """And of a token only where it allows a format that can be drawn."""
    plain, spatial = page(entry()), page(entry({"bounds": {}}, spatial="bounds"))
    undrawn = page(entry({"bounds": {}}, spatial="bounds", formats=("csv", "npy")))

    assert [len(root.xpath("//*[@id='show-map']")) for root in (plain, spatial, undrawn)] == [0, 1, 0]
    assert [len(root.xpath("//*[@id='map']")) for root in (plain, spatial, undrawn)] == [0, 1, 0]


def test_formats_are_those_that_may_be_asked_for() -> None:
    """Beside the one that fits the result."""
    options = form(entry(formats=("csv", "png"))).findall(".//select[@id='result-format']/option")

    assert [each.get("value") for each in options] == ["", "csv", "png"]


def test_a_list_leads_to_each_udf() -> None:
    """By its address; of the docstring the first line."""
    one = entry({"n": {}}, description="First <line>.\nSecond line.")

    root = lxml.html.document_fromstring(list_page([one], PLACE, title="All", addresses=["udfs/f.html"]).decode())
    empty = lxml.html.document_fromstring(list_page([], PLACE, title="All", addresses=[]).decode())

    assert root.xpath("//table//a/@href") == ["udfs/f.html"]
    assert "First <line>." in root.xpath("//td/text()")
    assert "Second" not in root.text_content()
    assert "none yet" in empty.text_content()


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\u202e", "a\u2028b", "\x1b[0m"])
def test_what_cannot_be_written_is_replaced(text: str) -> None:
    """Control characters, half characters, and those that turn the direction of writing."""
    assert "\ufffd" in (new("p", text).text or "")
