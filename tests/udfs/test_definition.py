from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.udfs import HeaderModule, UdfDefinition, parse

words = st.text(st.characters(codec="utf-8"), max_size=12)
definitions = st.builds(
    UdfDefinition,
    name=words,
    entrypoint=words,
    source=words,
    headers=st.lists(st.builds(HeaderModule, module_name=words, source=words), max_size=3).map(tuple),
    default_parameters=st.dictionaries(words, st.integers(-9, 9) | words, max_size=2),
    placement=st.sampled_from([{}, {"engine": "large"}, {"engine": "kernel"}]),
    uses=st.dictionaries(words, words, max_size=2),
    uses_from=words,
)


@given(definitions)
def test_definition_travels_as_json(definition: UdfDefinition) -> None:
    """The host has the version that the kernel has."""
    copy = UdfDefinition.from_json(orjson.loads(orjson.dumps(definition.to_json())))

    assert copy == definition
    assert copy.digest == definition.digest


@given(definitions, definitions)
def test_digest_tells_versions_apart(one: UdfDefinition, other: UdfDefinition) -> None:
    """Equal where all that makes it give what it gives is; where the values of variables lie does not."""
    names = ("name", "entrypoint", "source", "headers", "directory", "default_parameters", "uses")
    parts = [[udf.placement.get("engine") == "kernel", *(getattr(udf, name) for name in names)] for udf in (one, other)]

    assert (one.digest == other.digest) is (parts[0] == parts[1])


@given(definitions, st.sampled_from(["name", "entrypoint", "source", "directory"]), words.filter(bool))
def test_any_change_is_another_digest(definition: UdfDefinition, field: str, more: str) -> None:
    """One character is enough."""
    changed = replace(definition, **{field: getattr(definition, field) + more})

    assert changed.digest != definition.digest


@given(definitions, words, words)
def test_header_changes_the_digest(definition: UdfDefinition, name: str, source: str) -> None:
    """One more, another text, another name, another order."""
    header = HeaderModule(module_name=name, source=source)
    more = replace(definition, headers=(*definition.headers, header))

    assert more.digest != definition.digest
    assert replace(more, headers=(*definition.headers, replace(header, source=source + "#"))).digest != more.digest
    assert replace(more, headers=(*definition.headers, replace(header, module_name=name + "_"))).digest != more.digest


def test_same_text_is_the_same_digest() -> None:
    """Running an unchanged cell again makes no new version; elsewhere its relative paths would mean other files."""
    source = "def f(n: int = 2): return n"

    assert parse(source).digest == parse(source).digest
    assert replace(parse(source), directory="/elsewhere").digest != parse(source).digest


@pytest.mark.parametrize(
    "default", ["{1, 2}", "b'x'", "2j", "...", "{1: 2}", "10**100", "100000000000000000000000", "(1, 2)"]
)
def test_default_that_json_does_not_know_is_no_obstacle(default: str) -> None:
    """It is only for show; the function itself has the real one."""
    definition = parse(f"def f(a, n={default}): pass")

    copy = UdfDefinition.from_json(orjson.loads(orjson.dumps(definition.to_json())))

    assert copy.parameters[1].default_text
    assert not copy.parameters[1].is_required
    orjson.dumps(copy.schema())


def test_signature_reads_as_one_writes_it() -> None:
    """The prefix that everybody knows is left out."""
    source = "def quakes(bounds: fused.types.Bounds = None, *, min_mag: float = 4.0, **rest): pass"

    assert parse(source).signature == "quakes(bounds: Bounds = None, *, min_mag: float = 4.0, **rest)"


def test_collection_counts_as_the_names_in_it_do() -> None:
    """Of all that is known of where it is saved only that; in `default` it finds what it would find anyway."""
    udf = parse("def f(): return fused.run('g')")

    def placed(**metadata: str) -> UdfDefinition:
        return replace(udf, metadata={f"fused:{name}": value for name, value in metadata.items()})

    assert placed(collection="default", id="1").digest == placed(id="2", other="3").digest == udf.digest
    assert len({placed(collection=name).digest for name in ("default", "a", "b")}) == 3
