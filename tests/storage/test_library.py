from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError, UdfDefinitionError, UdfExistsError, UnknownUdfError
from fused_jupyter.storage import DEFAULT_COLLECTION, Library
from fused_jupyter.udfs import HeaderModule, Parameter, UdfDefinition

Define = Callable[..., UdfDefinition]

words = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.from_regex(r"u[a-z_0-9]{0,20}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=6,
)
definitions = st.builds(
    UdfDefinition,
    name=names,
    entrypoint=words,
    source=words,
    headers=st.lists(st.builds(HeaderModule, module_name=words, source=words), max_size=3).map(tuple),
    parameters=st.lists(
        st.builds(Parameter, name=words, annotation=words, default=values, default_text=words), max_size=2
    ).map(tuple),
    description=words,
    cache_max_age=st.none() | st.integers(0, 10**9),
    directory=words,
    metadata=st.dictionaries(words, values, max_size=3),
    default_parameters=st.dictionaries(words, values, max_size=2),
    placement=st.sampled_from([{}, {"engine": "large"}]),
)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data")


@pytest.fixture
def one(definition: Define) -> UdfDefinition:
    return definition("def quakes(n: int = 1):\n    '''Earthquakes.'''\n    return n")


@pytest.fixture
def two(definition: Define) -> UdfDefinition:
    return definition("def quakes(n: int = 2):\n    return n", cache_max_age="1h")


@given(st.lists(definitions, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_every_definition_comes_back(written: list[UdfDefinition]) -> None:
    """Also to another process, which knows only the file; the last one of a name is what it means."""
    with tempfile.TemporaryDirectory() as directory:
        for definition in written:
            Library(Path(directory)).save(definition, overwrite=True)

        for definition in {each.name: each for each in written}.values():
            found = Library(Path(directory)).find(definition.name).definition
            assert found == definition
            assert found.digest == definition.digest


# -- saving


def test_first_save_is_version_one(library: Library, one: UdfDefinition) -> None:
    """With the time, in the collection that is always there."""
    before = time.time()

    saved = library.save(one)

    assert (saved.name, saved.version, saved.collection, saved.definition) == ("quakes", 1, DEFAULT_COLLECTION, one)
    assert before <= saved.saved_at <= time.time()
    assert library.find("quakes") == library.by_id(saved.id) == saved


def test_name_is_not_overwritten_unasked(library: Library, one: UdfDefinition, two: UdfDefinition) -> None:
    """The error says what to do; another id is no permission either."""
    library.save(one)

    with pytest.raises(UdfExistsError, match="version 1.*overwrite=True"):
        library.save(two)
    with pytest.raises(UdfExistsError):
        library.save(two, udf_id="00000000-0000-0000-0000-000000000001")

    assert library.find("quakes").definition == one


@pytest.mark.parametrize("how", ["overwrite", "id"])
def test_overwriting_adds_a_version(library: Library, one: UdfDefinition, two: UdfDefinition, how: str) -> None:
    """The id stays, and the old version is kept."""
    first = library.save(one)

    second = library.save(two, overwrite=True) if how == "overwrite" else library.save(two, udf_id=first.id)

    assert (second.id, second.version) == (first.id, 2)
    assert library.versions(first.id) == [first, second]
    assert library.udfs() == [second]


def test_same_definition_is_no_new_version(library: Library, one: UdfDefinition) -> None:
    """Nothing changes then, also for those who watch; the order of metadata is no difference."""
    one = replace(one, metadata={"a": 1, "b": {"c": 2, "d": 3}})
    first = library.save(one)
    seen, stamp = library.changes(), library.stamp.stat().st_mtime_ns

    again = library.save(replace(one, metadata={"b": {"d": 3, "c": 2}, "a": 1}), overwrite=True)

    assert again == first
    assert library.changes() == seen
    assert library.stamp.stat().st_mtime_ns == stamp


def test_change_beside_the_code_is_a_version(library: Library, one: UdfDefinition) -> None:
    """The code itself is in the file once."""
    long = replace(one, source=f"{one.source}\n# {'unlikely' * 1000}")
    first = library.save(long)

    for age in range(5):
        library.save(replace(long, cache_max_age=age), overwrite=True)

    assert [each.definition.cache_max_age for each in library.versions(first.id)] == [None, 0, 1, 2, 3, 4]
    assert (library._directory / "library.sqlite3").read_bytes().count(b"unlikely" * 100) <= 10


def test_restored_version_is_the_newest(library: Library, one: UdfDefinition, two: UdfDefinition) -> None:
    """The one between is kept, so this too can be undone."""
    first = library.save(one)
    library.save(two, overwrite=True)

    restored = library.restore(first.id, 1)

    assert (restored.version, restored.definition) == (3, one)
    assert [each.definition for each in library.versions(first.id)] == [one, two, one]
    assert library.find("quakes") == restored


def test_newest_version_is_restored_by_doing_nothing(library: Library, one: UdfDefinition) -> None:
    """It is there already."""
    first = library.save(one)

    assert library.restore(first.id, 1) == first


@pytest.mark.parametrize("version", [0, 2, -1])
def test_version_that_never_was_cannot_be_restored(library: Library, one: UdfDefinition, version: int) -> None:
    """The error says which there are."""
    saved = library.save(one)

    with pytest.raises(UnknownUdfError, match="1 to 1"):
        library.restore(saved.id, version)


def test_deleted_udf_is_gone_with_its_versions(library: Library, one: UdfDefinition, two: UdfDefinition) -> None:
    """Under its name a new one begins, with another id; its code is no more in the library."""
    first = library.save(one)
    newest = library.save(two, overwrite=True)

    assert library.delete(first.id) == newest

    for look in (library.by_id, library.versions, library.delete):
        with pytest.raises(UnknownUdfError, match="no saved UDF with the id"):
            look(first.id)
    with library._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (0,)
    again = library.save(two, udf_id=first.id)
    assert (again.version, again.id == first.id) == (1, False)


def test_deleting_leaves_code_that_others_have(library: Library, one: UdfDefinition) -> None:
    """The same source may be saved under two names."""
    first = library.save(one)
    library.save(replace(one, name="other"))

    library.delete(first.id)

    assert library.find("other").definition.source == one.source


@pytest.mark.parametrize("name", ["1st", "a/b", "", "a b", "for", "x" * 65, "é"])
def test_name_must_be_that_of_a_udf(library: Library, one: UdfDefinition, name: str) -> None:
    """It stands in URLs; nothing is written."""
    with pytest.raises(UdfDefinitionError, match="cannot name a UDF"):
        library.save(replace(one, name=name))

    assert not library.exists


def test_metadata_that_is_no_json_is_refused(library: Library, one: UdfDefinition) -> None:
    """The error names the UDF."""
    with pytest.raises(ArgumentError, match="quakes: its metadata"):
        library.save(replace(one, metadata={"when": object()}))


# -- finding


def test_unknown_name_gets_advice(library: Library, one: UdfDefinition) -> None:
    """Near names, else where else it is, else what there is."""
    library.save(one)
    library.save(replace(one, name="roads"), collection="maps", create_collection=True)

    for name, advice in {
        "quake": "did you mean quakes",
        "roads": "there is one in 'maps'",
        "zz": "there are quakes",
    }.items():
        with pytest.raises(UnknownUdfError, match=f"no UDF '{name}' .*'default'; {advice}"):
            library.find(name)


def test_reading_makes_no_file(library: Library, tmp_path: Path) -> None:
    """There is just nothing in it, but the collection that is always there."""
    assert library.udfs() == []
    assert library.tokens() == []
    assert [each.name for each in library.collections()] == [DEFAULT_COLLECTION]
    assert library.changes() == library.changes()
    assert library.stamp == tmp_path / "data" / "udfs.stamp"
    with pytest.raises(UnknownUdfError, match="nothing is saved there yet"):
        library.find("quakes")

    assert not library.exists
    assert list(tmp_path.iterdir()) == []


def test_default_collection_has_the_same_id_before_and_after(library: Library, one: UdfDefinition) -> None:
    """Whoever asked early may go on using it."""
    before = library.collection(DEFAULT_COLLECTION)

    assert library.save(one).collection_id == before.id


def test_lists_are_ordered_and_cut(library: Library, one: UdfDefinition) -> None:
    """By name, by id, or by time with the latest first."""
    saved = {name: library.save(replace(one, name=name)) for name in ("b", "c", "a")}
    latest = library.save(replace(one, name="b", cache_max_age=1), overwrite=True)

    assert [each.name for each in library.udfs()] == ["a", "b", "c"]
    assert [each.name for each in library.udfs(by="slug", limit=1, skip=1)] == ["b"]
    assert [each.id for each in library.udfs(by="id")] == sorted(each.id for each in saved.values())
    assert [each.name for each in library.udfs(by="time")] == ["b", "a", "c"]
    assert latest in library.udfs()
    assert library.udfs(limit=0) == []
    with pytest.raises(ArgumentError, match="name, slug, id, time"):
        library.udfs(by="size; DROP TABLE udfs")


# -- collections


def test_collections_have_names_of_their_own(library: Library, one: UdfDefinition, two: UdfDefinition) -> None:
    """One name means another UDF in each; the collection may be given by its id."""
    library.save(one)
    other = library.save(two, collection="my maps", create_collection=True)

    assert library.find("quakes").definition == one
    assert library.find("quakes", collection="my maps") == other
    assert library.find("quakes", collection=other.collection_id) == other
    assert library.udfs(collection="my maps") == [other]
    assert [each.name for each in library.collections()] == [DEFAULT_COLLECTION, "my maps"]


def test_missing_collection_is_not_made_unasked(library: Library, one: UdfDefinition) -> None:
    """It may be a slip; the error knows near names."""
    library.create_collection("maps")

    with pytest.raises(UnknownUdfError, match="did you mean 'maps'"):
        library.save(one, collection="map")

    assert library.udfs() == []


def test_failed_save_makes_no_collection(library: Library, one: UdfDefinition) -> None:
    """All of it happens, or nothing."""
    with pytest.raises(ArgumentError, match="cannot name a collection"):
        library.save(one, collection="a/b", create_collection=True)

    assert [each.name for each in library.collections()] == [DEFAULT_COLLECTION]
    assert library.udfs() == []


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "two words", "x" * 64, "_x", ".hidden1"])
def test_names_of_collections(library: Library, name: str) -> None:
    """Letters, digits, `_`, `-`, dots and spaces."""
    made = library.create_collection(name)

    assert library.collection(name) == library.collection(made.id) == made


@pytest.mark.parametrize("name", ["", " a", "a ", "..", "-", "a/b", "x" * 65, "a\n", "a\tb", "é", "a'b", None])
def test_names_that_no_collection_has(library: Library, name: str) -> None:
    """They would not stand in URLs, or not be told apart."""
    with pytest.raises(ArgumentError, match="cannot name a collection"):
        library.create_collection(name)


def test_collection_is_made_once(library: Library) -> None:
    """A second one of that name is an error."""
    library.create_collection("maps")

    for name in ("maps", DEFAULT_COLLECTION):
        with pytest.raises(UdfExistsError, match=name):
            library.create_collection(name)


def test_renamed_collection_keeps_its_udfs(library: Library, one: UdfDefinition) -> None:
    """And its id; results of UDFs that load from it depend on its name, so the stamp changes."""
    saved = library.save(one, collection="maps", create_collection=True)
    stamp = library.stamp.stat().st_mtime_ns

    renamed = library.rename_collection("maps", "charts")

    assert renamed.id == saved.collection_id
    assert library.find("quakes", collection="charts").id == saved.id
    assert library.stamp.stat().st_mtime_ns != stamp
    with pytest.raises(UnknownUdfError):
        library.collection("maps")
    with pytest.raises(UdfExistsError):
        library.rename_collection("charts", DEFAULT_COLLECTION)


def test_only_empty_collections_are_deleted(library: Library, one: UdfDefinition) -> None:
    """Nobody loses UDFs by one word."""
    saved = library.save(one, collection="maps", create_collection=True)

    with pytest.raises(UdfExistsError, match="holds quakes"):
        library.delete_collection("maps")
    library.delete(saved.id)
    library.delete_collection("maps")

    assert [each.name for each in library.collections()] == [DEFAULT_COLLECTION]


def test_default_collection_stays(library: Library) -> None:
    """Neither renamed nor deleted."""
    with pytest.raises(ArgumentError, match="always there"):
        library.delete_collection(DEFAULT_COLLECTION)
    with pytest.raises(ArgumentError, match="always there"):
        library.rename_collection(DEFAULT_COLLECTION, "x")


# -- the stamp


def test_each_change_of_a_udf_stamps(library: Library, one: UdfDefinition, two: UdfDefinition) -> None:
    """Results of UDFs that load others depend on it; tokens change nothing that a UDF gives."""
    stamps = []

    def note() -> None:
        stamps.append(library.stamp.stat().st_mtime_ns)

    saved = library.save(one)
    note()
    library.save(two, overwrite=True)
    note()
    library.restore(saved.id, 1)
    note()
    _, token = library.create_token(udf_id=saved.id)
    library.update_token(token.id, enabled=False)
    library.delete_token(token.id)
    assert library.stamp.stat().st_mtime_ns == stamps[-1]
    library.delete(saved.id)
    note()

    assert stamps == sorted(set(stamps))


def test_stamp_that_a_crash_left_behind_is_mended(library: Library, one: UdfDefinition) -> None:
    """Also a lost one, and that of an older copy of the library: the same content has the same stamp."""
    library.save(one)
    right = library.stamp.stat().st_mtime_ns

    os.utime(library.stamp, ns=(1, 1))
    assert library.stamp.stat().st_mtime_ns == right
    library.stamp.unlink()
    assert library.stamp.stat().st_mtime_ns == right


def test_stamp_moves_on_when_the_clock_goes_back(
    library: Library, one: UdfDefinition, two: UdfDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions never have the same one."""
    library.save(one)
    before = library.stamp.stat().st_mtime_ns
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)

    library.save(two, overwrite=True)

    assert library.stamp.stat().st_mtime_ns > before
