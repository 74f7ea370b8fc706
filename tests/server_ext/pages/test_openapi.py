from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.formats.catalog import FORMATS
from fused_jupyter.server_ext import handlers
from fused_jupyter.server_ext.hosted.identity import AbsentHandler
from fused_jupyter.server_ext.pages.entry import MEDIA_TYPES, Entry, owned
from fused_jupyter.server_ext.pages.openapi import document_of_owner, document_of_token
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Limits

SOURCE = '''
@fused.udf
def everything(
    bounds: fused.types.Bounds, needed: float, whole: int = 1, half: float = 0.5, flag: bool = False, text: str = "a",
    choice: Literal["a", "b"] = "b", maybe: int | None = None, pair: tuple[int, str] = (1, "a"), many: list[int] = [],
    several: set[str] = None, day: date = None, moment: datetime = None, span: timedelta = None, raw: bytes = None,
    mixed: int | str = 1, some: dict = None, shape: GeoDataFrame = None, table: pd.DataFrame = None, open=None, three=3,
    format: str = "x", kernel: str = "y",
):
    """Every kind of parameter."""
'''


def summary(source: str = SOURCE) -> dict[str, Any]:
    definition = parse(source)
    spatial = definition.spatial_parameter
    described: dict[str, Any] = json.loads(json.dumps(definition.schema()))  # as it comes from the host
    name = spatial.name if spatial else None
    return {"name": definition.name, "description": definition.description, "schema": described, "spatial": name}


def shared(limits: Limits) -> Entry:
    return Entry.of(summary(), file="run/file", tiles="run/tiles", limits=limits)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], list[dict[str, Any]]]]:
    """Path, method, operation, and all of its parameters."""
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "delete", "put", "patch"}:
            listed = [*item.get("parameters", []), *item[method].get("parameters", [])]
            yield path, method, item[method], [resolved(document, each) for each in listed]


def resolved(document: dict[str, Any], each: dict[str, Any]) -> dict[str, Any]:
    place: Any = document
    for step in each.get("$ref", "").split("/")[1:]:
        place = place[step]
    return place if "$ref" in each else each


@pytest.mark.parametrize(
    "document",
    [
        document_of_owner([]),
        document_of_owner([owned(summary())]),
        document_of_token([shared(Limits())], title="t", description=""),
        document_of_token(
            [shared(Limits(parameters=("whole",), formats=("csv",), zooms=(2, 9)))], title="t", description=""
        ),
    ],
    ids=["empty", "owner", "token", "limited token"],
)
def test_the_document_is_openapi_31(document: dict[str, Any]) -> None:
    """By the validator of the specification; each operation has a name of its own, and examples that fit."""
    OpenAPIV31SpecValidator(document).validate()

    names = [operation["operationId"] for _, _, operation, _ in operations(document)]
    assert len(set(names)) == len(names)
    for path, _, operation, parameters in operations(document):
        assert "403" in operation["responses"]
        assert set(re.findall(r"{(\w+)}", path)) == {each["name"] for each in parameters if each["in"] == "path"}
        for each in parameters:
            validator = Draft202012Validator(each["schema"])
            examples = [each["example"]] if "example" in each else each["schema"].get("examples", [])
            assert [example for example in examples if not validator.is_valid(example)] == []
            assert examples or each["in"] == "query"


def test_arguments_are_typed_as_in_the_source() -> None:
    """No null, which a query cannot say; nothing that is ours; the spatial one only where no tile says it."""
    document = document_of_owner([owned(summary())])
    by_name = {
        each["name"]: each
        for path, method, _, parameters in operations(document)
        if (path, method) == ("/run/file/everything.{extension}", "get")
        for each in parameters
        if "description" not in each or each["name"] not in {"format", "kernel", "extension"}
    }
    ((_, _, _, of_tile),) = [each for each in operations(document) if each[0].startswith("/run/tiles/everything/")]

    assert by_name["needed"]["required"] is True
    assert by_name["maybe"]["schema"] == {"type": "integer"}
    assert by_name["choice"]["schema"] == {"enum": ["a", "b"], "default": "b"}
    assert by_name["day"]["schema"]["format"] == "date"
    assert by_name["bounds"]["example"] == "-10,50,2,59"
    assert by_name["some"]["schema"]["contentSchema"] == {"type": "object"}
    assert by_name["some"]["example"] == "{}"
    assert "bounds" not in {each["name"] for each in of_tile}
    assert [each["name"] for each in of_tile].count("format") == 1


def test_the_body_takes_what_the_query_cannot_name() -> None:
    """Arguments whose names are ours come by POST."""
    document = document_of_owner([owned(summary())])

    body = document["paths"]["/run/file/everything.{extension}"]["post"]["requestBody"]
    properties = body["content"]["application/json"]["schema"]["properties"]

    assert {"format", "kernel", "maybe"} <= properties.keys()
    assert properties["maybe"]["type"] == ["integer", "null"]


def test_a_token_is_told_what_it_may_do_and_no_more() -> None:
    """Parameters, formats and zooms are those that it allows; no kernel, no login."""
    limits = Limits(parameters=("whole",), formats=("csv", "png"), zooms=(2, 9))

    document = document_of_token([shared(limits)], title="t", description="")

    assert list(document["paths"]) == ["/run/file.{extension}", "/run/tiles/{z}/{x}/{y}.{extension}"]
    of_file, of_tile = (
        {each["name"]: each for each in parameters}
        for _, method, _, parameters in operations(document)
        if method == "get"
    )
    (body,) = (operation["requestBody"] for _, method, operation, _ in operations(document) if method == "post")
    assert body["content"]["application/json"]["schema"]["properties"].keys() == {"whole"}
    assert of_file.keys() == {"extension", "format", "cache_max_age", "whole"}
    assert of_file["extension"]["schema"]["enum"] == ["csv", "png"]
    assert (of_tile["z"]["schema"]["minimum"], of_tile["z"]["schema"]["maximum"]) == (2, 9)
    assert document["security"] == []


def test_formats_are_those_of_the_catalogue() -> None:
    """Names and media types, which this room may not import."""
    assert {name: entry.media_type.partition(";")[0] for name, entry in FORMATS.items()} == MEDIA_TYPES


def test_every_route_is_in_the_document() -> None:
    """A new route cannot be forgotten; those of tokens are in the documents of tokens."""
    addresses = []
    for path, _, _, parameters in operations(document_of_owner([])):
        examples = {each["name"]: str(each["example"]) for each in parameters if each["in"] == "path"}
        addresses.append("/fused" + path.format(**examples))

    def handler_of(address: str) -> Any:
        return next(handler for pattern, handler in handlers.ROUTES if re.fullmatch(pattern, address))

    documented = {handler_of(address) for address in addresses}
    of_tokens = {handler for pattern, handler in handlers.ROUTES if re.search("fsh|fc_", pattern)}
    of_tokens |= {handler for _, handler in handlers.shared.ROUTES}
    of_nothing = {handlers.MissingHandler, AbsentHandler}
    assert not of_nothing & documented
    assert {handler for _, handler in handlers.ROUTES} - of_tokens - documented == of_nothing


@pytest.fixture(scope="module")
def live(server: JupyterServer, page_kernel: Kernel) -> dict[str, Any]:
    document: dict[str, Any] = server.get("fused/openapi.json").json()
    return document


def test_the_servers_own_document_lists_its_udfs(live: dict[str, Any], server: JupyterServer) -> None:
    """It is valid, names no secret, and its server is where it is."""
    OpenAPIV31SpecValidator(live).validate()
    assert server.token not in json.dumps(live)
    assert live["servers"][0]["url"] == "."
    assert {"/run/file/typed.{extension}", "/run/tiles/places/{z}/{x}/{y}.{extension}"} <= live["paths"].keys()
    assert "/run/tiles/typed/{z}/{x}/{y}.{extension}" not in live["paths"]


def test_every_operation_answers_as_documented(live: dict[str, Any], server: JupyterServer) -> None:
    """Each GET, with its examples: a status and a media type that are in the document, and no failure of ours."""
    from urllib.parse import urlencode

    for path, method, operation, parameters in operations(live):
        if method != "get" or path.startswith("/openapi"):
            continue
        address, query = path, []
        for each in parameters:
            example = each.get("example")
            if each["in"] == "path":
                address = address.replace(f"{{{each['name']}}}", str(example))
            elif each["in"] == "query" and example is not None:
                text = example if isinstance(example, str) else json.dumps(example)
                query.append((each["name"], text))

        answer = server.get(f"fused{address}?{urlencode(query)}")

        assert answer.status < 500, (address, answer.body)
        assert str(answer.status) in operation["responses"], (address, answer.body)
        if answer.status == 200:
            kinds = operation["responses"]["200"]["content"]
            assert answer.headers.get_content_type() in kinds, address
