from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import BusyError, ShareError
from fused_jupyter.storage import Catalogue, Library, SavedUdf
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits

Define = Callable[..., UdfDefinition]


def sha(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Over another library of the same file, as in another process."""
    return Catalogue(Library(tmp_path))


@pytest.fixture
def quakes(definition: Define) -> UdfDefinition:
    return definition("def quakes(n: int = 1):\n    return n")


@pytest.fixture
def roads(definition: Define) -> UdfDefinition:
    return definition("def roads():\n    return 1")


def runs(saved: SavedUdf, definition: UdfDefinition | None = None) -> UdfDefinition:
    """The code that runs, which knows where it is saved."""
    place = {"fused:id": saved.id, "fused:collection": saved.collection, "fused:collection_id": saved.collection_id}
    return replace(definition or saved.definition, metadata=place)


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(ShareError) as caught:
        yield
    assert caught.value.message == "this token opens nothing here"
    assert caught.value.status == 404


def test_empty_library_has_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    """And asking makes no file."""
    assert catalogue.named("quakes") is None
    assert catalogue.all() == ()
    with refused():
        catalogue.opened(sha("x"), "quakes")
    with refused():
        catalogue.describe(sha("x"))

    assert list(tmp_path.iterdir()) == []


def test_each_change_is_seen_at_once(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, definition: Define
) -> None:
    """Also the first one, which makes the file."""
    assert catalogue.named("quakes") is None

    saved = library.save(quakes)
    assert catalogue.named("quakes") == runs(saved)
    newer = definition("def quakes(n: int = 2):\n    return n")
    library.save(newer, overwrite=True)
    assert catalogue.named("quakes") == runs(saved, newer)
    library.restore(saved.id, 1)
    assert catalogue.named("quakes") == runs(saved)
    library.delete(saved.id)
    assert catalogue.named("quakes") is None


def test_name_alone_means_the_default_collection(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, roads: UdfDefinition
) -> None:
    """What is in others has to be asked for with a token."""
    saved = library.save(quakes)
    library.save(roads, collection="maps", create_collection=True)

    assert catalogue.all() == (saved,)
    assert catalogue.named("roads") is None


def test_nothing_is_read_without_a_change(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request for a saved UDF costs no query."""
    library.save(quakes)
    first = catalogue.named("quakes")
    monkeypatch.setattr(Library, "snapshot", lambda _: pytest.fail("read again"))

    assert catalogue.named("quakes") is first


def test_token_of_a_udf_opens_its_newest_version(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, roads: UdfDefinition, definition: Define
) -> None:
    """Whether the UDF is named or not, but no other one."""
    saved = library.save(quakes)
    library.save(roads)
    secret, token = library.create_token(udf_id=saved.id, limits=Limits(rate=5))

    assert catalogue.opened(sha(secret), "") == catalogue.opened(token.share, "quakes") == (runs(saved), Limits(rate=5))
    newer = definition("def quakes(n: int = 2):\n    return n")
    library.save(newer, overwrite=True)
    assert catalogue.opened(token.share, "")[0] == runs(saved, newer)
    for name in ("roads", "nothing", "QUAKES"):
        with refused():
            catalogue.opened(token.share, name)


def test_token_of_a_udf_in_a_collection_opens_that_one(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, definition: Define
) -> None:
    """Not the one of the same name elsewhere."""
    library.save(quakes)
    there = library.save(definition("def quakes(n: int = 2):\n    return n"), collection="maps", create_collection=True)
    _, token = library.create_token(udf_id=there.id)

    assert catalogue.opened(token.share, "")[0] == runs(there)


def test_token_of_a_collection_opens_what_is_in_it(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, roads: UdfDefinition
) -> None:
    """Now and later, by name; nothing of another collection."""
    saved = library.save(quakes, collection="maps", create_collection=True)
    library.save(roads)
    _, token = library.create_token(collection="maps")

    assert catalogue.opened(token.share, "quakes")[0] == runs(saved)
    for name in ("", "roads"):
        with refused():
            catalogue.opened(token.share, name)

    library.save(roads, collection="maps")
    library.rename_collection("maps", "charts")

    assert catalogue.opened(token.share, "roads")[0] == runs(library.find("roads", collection="charts"))


def test_closed_tokens_open_nothing_from_the_next_request_on(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition
) -> None:
    """Closed, deleted, of a deleted UDF, or expired while nothing changes."""
    saved = library.save(quakes)
    closed, deleted, kept = (library.create_token(udf_id=saved.id)[1] for _ in range(3))
    expired = library.create_token(udf_id=saved.id, limits=Limits(expires=time.time() + 0.2))[1]
    for token in (closed, deleted, kept, expired):
        catalogue.opened(token.share, "")

    def is_refused(share: str) -> None:
        with refused():
            catalogue.opened(share, "")
        with refused():
            catalogue.describe(share)

    library.update_token(closed.id, enabled=False)
    is_refused(closed.share)
    library.delete_token(deleted.id)
    is_refused(deleted.share)
    time.sleep(0.25)
    is_refused(expired.share)
    library.update_token(closed.id, enabled=True)
    assert catalogue.opened(closed.share, "")[0] == runs(saved)
    library.delete(saved.id)
    is_refused(kept.share)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s + "0", str.upper, lambda s: s[:12], lambda s: s[:12] + "0" * 52]
)
def test_nearly_right_is_wrong(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, change: Callable[[str], str]
) -> None:
    """The public id shows the first twelve digits of the hash; they open nothing."""
    _, token = library.create_token(udf_id=library.save(quakes).id)

    with refused():
        catalogue.opened(change(token.share), "")


def test_share_is_described(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, roads: UdfDefinition
) -> None:
    """For pages and catalogues of tiles: all that it opens, by name."""
    other = library.save(roads, collection="maps", create_collection=True)
    saved = library.save(quakes, collection="maps")
    said: dict[str, Any] = {"limits": Limits(zooms=(0, 5)), "metadata": {"a": 1}}
    of_udf = library.create_token(udf_id=saved.id, **said)[1]
    of_collection = library.create_token(collection="maps", **said)[1]

    assert catalogue.describe(of_udf.share) == {
        "kind": "udf",
        "collection": "maps",
        "definitions": [runs(saved)],
        **said,
    }
    assert catalogue.describe(of_collection.share) == {
        "kind": "collection", "collection": "maps", "definitions": [runs(saved), runs(other)], **said,
    }  # fmt: skip


def test_busy_library_is_answered_from_memory(
    library: Library, catalogue: Catalogue, quakes: UdfDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was true a moment ago; the change is seen with the next request."""
    library.save(quakes)
    catalogue.all()
    saved = library.find("quakes")
    library.delete(saved.id)

    def busy(_: Library) -> None:
        raise BusyError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(Library, "snapshot", busy)
        assert catalogue.named("quakes") == runs(saved)
    assert catalogue.named("quakes") is None
