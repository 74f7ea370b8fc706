from __future__ import annotations

import json
import keyword
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import UdfDefinitionError
from fused_jupyter.storage.exchange import body_of, definition_to_run, definition_to_save
from fused_jupyter.storage.saved import SavedUdf
from fused_jupyter.udfs import Choices, HeaderModule, UdfDefinition, parse

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,63}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PLACEMENT = {"engine": st.sampled_from(["remote", "local"]), "region": TEXTS, "disk_size_gb": st.integers(1, 999)}


@st.composite
def definitions(draw: st.DrawFn) -> UdfDefinition:
    """Any UDF that can be saved."""
    entrypoint = draw(NAMES)
    modules = draw(st.dictionaries(NAMES, TEXTS, max_size=3))
    choices = Choices(
        name=draw(NAMES),
        headers=tuple(HeaderModule(module_name=name, source=f"#{text}\r\nX=1 ") for name, text in modules.items()),
        cache_max_age=draw(st.none() | st.integers(0, 10**9)),
        default_parameters=draw(st.none() | st.fixed_dictionaries({}, optional={"n": st.integers(0, 9), "text": JSON})),
        placement=draw(st.none() | st.fixed_dictionaries({}, optional=PLACEMENT)),
    )
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = [
        f"# {draw(TEXTS)}",
        draw(st.sampled_from(["@fused.udf", '@fused.udf(cache_max_age="2h")', "@udf"])),
        f"def {entrypoint}(n: int = 1, *, text={draw(TEXTS)!r}):  # {draw(TEXTS)}",
        "    return n, text",
    ]
    metadata = draw(st.dictionaries(TEXTS, JSON, max_size=3))
    return replace(parse(newline.join(lines), choices), metadata=metadata)


def saved(definition: UdfDefinition) -> SavedUdf:
    return SavedUdf(
        id="8b52e534-b908-40b5-aa5e-8aa3ed6c1514",
        name=definition.name,
        collection="maps",
        collection_id="c006b8f3-3d24-403c-ac82-8ecf902814ef",
        version=3,
        saved_at=0.0,
        definition=definition,
    )


@given(definitions())
@settings(deadline=None, max_examples=50)
def test_what_was_sent_is_what_comes_back(udf: UdfDefinition) -> None:
    """Through the JSON text that travels; the very same version, comments and blanks in it."""
    body = json.loads(json.dumps(body_of(saved(udf))))

    back = definition_to_save(body)

    assert back == udf
    assert back.digest == udf.digest
    assert dict(back.metadata) == dict(udf.metadata)


def test_body_has_the_fields_of_the_official_client() -> None:
    """As version 2.9.5 writes its `Udf`; the code is in it, and each header has its text and the name of its file."""
    udf = parse(
        "@fused.udf(cache_max_age='1h')\ndef job(n: int = 2):\n    return n",
        Choices(headers=(HeaderModule(module_name="utils", source="X = 2"),), default_parameters={"n": 7}),
    )

    assert body_of(saved(udf)) == {
        "name": "job",
        "type": "geopandas_v2",
        "code": udf.source,
        "headers": [{"module_name": "utils", "source_code": "X = 2", "source_file": "utils.py"}],
        "metadata": None,
        "collection_id": "c006b8f3-3d24-403c-ac82-8ecf902814ef",
        "collection_name": "maps",
        "entrypoint": "job",
        "cache_max_age": 3600,
        "engine": None,
        "disk_size_gb": None,
        "region": None,
        "parameters": {"n": 7},
        "original_headers": None,
    }


CODE = "@fused.udf\ndef udf(n: int = 2):\n    return n"


def test_saved_udf_does_not_know_where_it_was() -> None:
    """What says so is the library's to say, and wrong after a copy."""
    metadata = {"fused:id": "1", "fused:slug": "a", "fused:name": "a", "fused:collection": "maps", "mine": 1}

    udf = definition_to_save({"name": "a", "code": CODE, "metadata": metadata})

    assert dict(udf.metadata) == {"mine": 1}


def test_name_in_the_address_counts() -> None:
    """And becomes one that an address can hold."""
    assert definition_to_save({"name": "a", "code": CODE}, name="my-udf").name == "my_udf"


def test_posted_udf_knows_its_collection() -> None:
    """So it finds the others of it."""
    udf = definition_to_run({"name": "a", "code": CODE, "collection_name": "maps", "collection_id": None})

    assert dict(udf.metadata) == {"fused:collection": "maps"}


def test_udf_of_a_kernel_is_not_saved() -> None:
    """There is none when it is to run."""
    with pytest.raises(UdfDefinitionError, match="no notebook open"):
        definition_to_save({"name": "a", "code": CODE, "engine": "kernel"})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "code"),
        ({"code": "x = 1"}, "no function"),
        ({"code": "def f(:"}, "SyntaxError"),
        ({"code": 3}, "'code' should be text"),
        ({"source": "a.py"}, "names a file, 'a.py'"),
        ({"code": "@fused.udf(headers=['/etc/passwd'])\ndef f(): pass"}, "names a file, '/etc/passwd'"),
        ({"code": CODE, "headers": [{"module_name": "x", "source_file": "/etc/passwd"}]}, "names a file"),
        ({"code": CODE, "headers": [3]}, "there should be an object"),
        ({"code": CODE, "headers": "x"}, "there should be an object"),
        ({"code": CODE, "headers": {"a": 1}}, "'headers' should be a list"),
        ({"code": CODE, "metadata": [1]}, "'metadata' should be an object"),
        ({"code": CODE, "parameters": [1]}, "'parameters' should be an object"),
        ({"code": CODE, "cache_max_age": "soon"}, "soon"),
        ({"code": CODE, "entrypoint": "g"}, "no function 'g'"),
    ],
)
def test_broken_body_says_what_is_wrong(body: dict[str, Any], message: str) -> None:
    """No file of this machine is read for it."""
    for read in (definition_to_save, definition_to_run):
        with pytest.raises(UdfDefinitionError, match=message):
            read(body)
