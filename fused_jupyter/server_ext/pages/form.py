"""The parameters of a UDF as a form: an input for each, as its type is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import orjson

from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.pages.html import new
from fused_jupyter.server_ext.pages.parameters import example_of, types_of
from fused_jupyter.wire.http.requests import RESERVED

Schema = Mapping[str, Any]

_INPUTS: dict[str, dict[str, str]] = {
    "integer": {"type": "number", "step": "1"},
    "number": {"type": "number", "step": "any"},
    "date": {"type": "date"},
    "date-time": {"type": "datetime-local", "step": "1"},
    "time": {"type": "time", "step": "1"},
}
"""By format or type, the attributes of an input; of all others it is a line of text."""


def form(entry: Entry) -> Element:
    """The whole form, with the choice of the format and the buttons."""
    fields = [_field(name, schema, entry=entry) for name, schema in entry.properties.items() if name not in RESERVED]
    if not fields:
        fields = [new("p", "This UDF has no parameters.")]
    options = [new("option", "automatic", value=""), *(new("option", name, value=name) for name in entry.formats)]
    label = new("label", "Format", for_="result-format")
    chooser = new("div", label, new("select", options, id="result-format", name="result-format"), class_="field")
    buttons = [new("button", "Run", type="submit", class_="main", id="run")]
    if entry.drawn:
        buttons.append(new("button", "Show map", type="submit", id="show-map"))
    return new("form", fields, chooser, new("div", buttons, class_="row"), autocomplete="off")


def text_of(value: object) -> str:
    """A default as a query says it.

    >>> text_of(True), text_of(5.5), text_of("a"), text_of([1, 2]), text_of(None)
    ('true', '5.5', 'a', '[1,2]', '')
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _field(name: str, schema: Schema, *, entry: Entry) -> Element:
    is_spatial = name == entry.spatial
    identity = f"parameter-{name}"
    kind = "box in degrees" if is_spatial else _kind(schema)
    label = new("label", f"{name} ", new("span", kind, class_="kind"), for_=identity)
    common = {
        "id": identity,
        "name": name,
        "data_parameter": True,
        "required": name in entry.required,
        "aria_describedby": f"{identity}-about",
    }
    about = new("small", _about(schema, is_spatial=is_spatial), id=f"{identity}-about")
    make = _boolean if kind == "boolean" else _choice if "enum" in schema else _line
    made = make(schema, common | ({"placeholder": "-10,50,2,59"} if is_spatial else {}))
    if kind == "boolean":
        return new("div", made, label, about, class_="field check")
    return new("div", label, made, about, class_="field")


def _boolean(schema: Schema, common: Mapping[str, Any]) -> Element:
    is_on = schema.get("default") is True
    # `required` of a checkbox would mean that it must be on.
    return new(
        "input", type="checkbox", checked=is_on, data_initial=str(is_on).lower(), **{**common, "required": False}
    )


def _choice(schema: Schema, common: Mapping[str, Any]) -> Element:
    initial = text_of(schema.get("default"))
    values = [text_of(value) for value in schema["enum"] if value is not None]
    options = [new("option", value, value=value, selected=value == initial) for value in values]
    if schema.get("default") is None or initial not in values:
        # What is not sent keeps its default, whatever that is.
        options.insert(0, new("option", "default", value=initial, selected=True))
    return new("select", options, data_initial=initial, **common)


def _line(schema: Schema, common: Mapping[str, Any]) -> Element:
    initial = text_of(schema.get("default"))
    attributes: dict[str, Any] = {"type": "text", "placeholder": _placeholder(schema), **_input_of(schema), **common}
    return new("input", value=initial, data_initial=initial, **attributes)


def _input_of(schema: Schema) -> Mapping[str, str]:
    types = [each for each in types_of(schema) if each != "null"]
    if len(types) != 1:
        return {}
    return _INPUTS.get(schema.get("format", ""), _INPUTS.get(types[0], {}))


def _placeholder(schema: Schema) -> str | None:
    is_plain = schema.get("default") is None and types_of(schema)[:1] in (["array"], ["object"])
    return text_of(example_of(schema)) if is_plain else None


def _kind(schema: Schema) -> str:
    """What a parameter takes, in a word or two."""
    describe: dict[str, Callable[[], str]] = {
        "enum": lambda: "choice",
        "anyOf": lambda: " or ".join(dict.fromkeys(_kind(each) for each in schema["anyOf"] if _kind(each))),
        "format": lambda: str(schema["format"]),
    }
    named = next((describe[key]() for key in describe if key in schema), "")
    return named or " or ".join(each for each in types_of(schema) if each != "null")


def _about(schema: Schema, *, is_spatial: bool) -> str:
    if is_spatial:
        return "west,south,east,north; the map fills it in for each tile"
    described = str(schema.get("description", ""))
    if types_of(schema)[:1] == ["array"]:
        return described or "as JSON, or values with commas between"
    return described or ("as JSON" if types_of(schema)[:1] == ["object"] else "")
