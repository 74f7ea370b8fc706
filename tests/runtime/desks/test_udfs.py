from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, UdfExistsError, UdfNotFoundError, UnknownTokenError, UnknownUdfError
from fused_jupyter.runtime.desks import tokens, udfs
from fused_jupyter.settings import Options, whoami
from fused_jupyter.storage import Library
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits

Deed = Callable[[Mapping[str, Any]], Any]
CODE = "@fused.udf\ndef udf(n: int = 2):\n    return n"


class Desk:
    """The deeds of a library of its own, and what was published."""

    def __init__(self, directory: Path) -> None:
        self.library = Library(directory)
        self.published: list[UdfDefinition] = []
        options = Options()
        self._deeds: dict[str, Deed] = {
            **udfs.desk(self.library, options, self.published.append),
            **tokens.desk(self.library, options, self.published.append),
        }

    def __call__(self, what: str, **said: Any) -> Any:
        return json.loads(json.dumps(self._deeds[what](said)))

    def save(self, name: str = "quakes", code: str = CODE, **said: Any) -> dict[str, Any]:
        body = json.dumps({"name": name, "code": code})
        saved: dict[str, Any] = self("udfs.save", slug=name, udf_body=body, **said)
        return saved


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_saved_udf_is_found_in_each_way(desk: Desk) -> None:
    """By owner, by id, in the list, by a token; all the same."""
    saved = desk.save()
    token = desk("tokens.create", udf_id=saved["id"])

    assert json.loads(saved["udf_body"])["code"] == CODE
    assert desk("udfs.find", slug="quakes") == saved
    assert desk("udfs.find", owner=whoami()["email"], slug="quakes", collection="default") == saved
    assert desk("udfs.by_id", id=saved["id"]) == saved
    assert desk("udfs.list") == [saved]
    assert desk("udfs.of_token", token=token["token"]) == saved
    assert desk("udfs.of_token", token=token["id"]) == saved


def test_udf_of_somebody_else_is_not_here(desk: Desk) -> None:
    """And is not mistaken for one's own."""
    desk.save()

    with pytest.raises(UdfNotFoundError, match="other accounts"):
        desk("udfs.find", owner="bob@example.com", slug="quakes")


def test_new_udf_replaces_none(desk: Desk) -> None:
    """Only who names its id makes a new version; another name is another UDF."""
    first = desk.save()

    with pytest.raises(UdfExistsError):
        desk.save(code=CODE + " + 1")
    second = desk.save(code=CODE + " + 1", id=first["id"])
    other = desk.save("other", id=first["id"])

    assert (second["id"], second["version"]) == (first["id"], 2)
    assert other["id"] != first["id"]


def test_new_version_stays_in_its_collection(desk: Desk) -> None:
    """The client does not say it again."""
    maps = desk("collections.create", name="maps")
    first = desk.save(collection_id=maps["id"])

    second = desk.save(code=CODE + " + 1", id=first["id"])

    assert (second["id"], second["collection_name"]) == (first["id"], "maps")


@pytest.mark.parametrize("said", [{}, {"udf_body": 3}, {"udf_body": "{"}, {"udf_body": "[]"}])
def test_what_is_no_udf_is_not_saved(said: dict[str, Any], desk: Desk) -> None:
    """Nothing is left of it."""
    with pytest.raises(ArgumentError, match="udf_body"):
        desk("udfs.save", **said)

    assert desk("udfs.list") == []


def test_lists_come_in_pages_and_end(desk: Desk) -> None:
    """A client asks until one is empty."""
    names = [desk.save(name)["slug"] for name in "abcde"]

    pages = [desk("udfs.list", skip=str(skip), limit="2") for skip in (0, 2, 4, 6)]

    assert [[each["slug"] for each in page] for page in pages] == [names[:2], names[2:4], names[4:], []]
    with pytest.raises(ArgumentError, match="limit"):
        desk("udfs.list", limit="-1")


def test_posted_code_is_published_and_not_saved(desk: Desk) -> None:
    """By its name and version it can be run."""
    told = desk("udfs.publish", udf={"name": "a", "code": CODE})

    assert [(each.name, each.digest) for each in desk.published] == [(told["name"], told["digest"])]
    assert desk("udfs.list") == []


def test_saved_udf_is_published_as_it_runs(desk: Desk) -> None:
    """It knows the collection that it is in."""
    maps = desk("collections.create", name="maps")
    desk.save(collection_id=maps["id"])

    desk("udfs.publish_saved", owner="maps", slug="quakes")

    assert desk.published[0].metadata["fused:collection"] == "maps"


def test_code_is_published_by_one_thread_at_a_time(tmp_path: Path) -> None:
    """Who takes it over changes tables."""
    inside, most = [], []
    lock = threading.Lock()

    def publish(definition: UdfDefinition) -> None:
        with lock:
            inside.append(definition)
            most.append(len(inside))
        threading.Event().wait(0.001)
        with lock:
            inside.remove(definition)

    deed = udfs.desk(Library(tmp_path), Options(), publish)["udfs.publish"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: deed({"udf": {"name": f"u{n}", "code": CODE}}), range(40)))

    assert max(most) == 1


def test_collections_are_listed_renamed_and_deleted(desk: Desk) -> None:
    """By name or id."""
    maps = desk("collections.create", name="maps")

    assert [each["name"] for each in desk("collections.list")] == ["default", "maps"]
    assert [each["name"] for each in desk("collections.list", skip="1", limit="5")] == ["maps"]
    assert desk("collections.get", collection="maps") == maps
    assert desk("collections.rename", collection=maps["id"], name="plans")["name"] == "plans"
    assert desk("collections.delete", collection="plans")["id"] == maps["id"]
    with pytest.raises(UnknownUdfError):
        desk("collections.get", collection="plans")


def test_shared_collection_has_a_new_token_each_time(desk: Desk) -> None:
    """Of the earlier one nobody knows the secret; `new_token` closes it."""
    first = desk("collections.share", collection="default")["share_token"]
    second = desk("collections.share", collection="default")["share_token"]
    assert len({first, second}) == 2
    assert len(desk("tokens.list")) == 2

    third = desk("collections.share", collection="default", new_token=True)["share_token"]

    assert [each["id"] for each in desk("tokens.list")] == [desk("tokens.get", token=third)["id"]]
    assert desk("collections.unshare", collection="default")["share_token"] is None
    assert desk("tokens.list") == []


def test_secret_is_told_to_who_made_it_or_has_it(desk: Desk) -> None:
    """Nobody else learns it from here."""
    saved = desk.save()
    secret = desk("tokens.create", udf_id=saved["id"])["token"]
    listed = desk("tokens.list")[0]

    assert secret.startswith("fsh_")
    assert listed["token"] == listed["id"] != secret
    assert secret not in json.dumps([desk("tokens.get", token=listed["id"]), listed])
    assert desk("tokens.get", token=secret)["token"] == secret


def test_token_is_changed_by_what_is_said(desk: Desk) -> None:
    """Null leaves it; `limits` are ours, the official client says `cache` only."""
    desk.save()
    token = desk(
        "tokens.create", udf_email=whoami()["email"], udf_slug="quakes", cache=False, limits={"formats": ["png"]}
    )

    same = desk("tokens.update", token=token["id"], enabled=None, cache=None, metadata_json=None, client_id=None)
    changed = desk("tokens.update", token=token["token"], enabled=False, limits={"rate": 5}, metadata_json={"a": 1})

    assert {**same, "token": "", "last_updated": ""} == {**token, "token": "", "last_updated": ""}
    assert Limits.from_json(changed["limits"]) == Limits(formats=("png",), rate=5, cache=False)
    assert (changed["enabled"], changed["metadata_json"]) == (False, {"a": 1})
    assert desk("tokens.delete", token=token["id"])["id"] == token["id"]
    with pytest.raises(UnknownTokenError):
        desk("tokens.get", token=token["token"])


@pytest.mark.parametrize(
    "said",
    [
        {"udf_slug": "quakes", "udf_email": "bob@example.com"},
        {"udf_email": "me"},
        {"udf_slug": "quakes", "limits": [1]},
        {"udf_slug": "quakes", "limits": {"zooms": [5, 1]}},
        {"udf_slug": "quakes", "cache": "yes"},
        {"udf_slug": "quakes", "public_read": "yes"},
        {"udf_slug": "quakes", "client_id": 3},
    ],
)
def test_token_of_nonsense_is_not_made(said: dict[str, Any], desk: Desk) -> None:
    """The message says what was wanted."""
    desk.save()

    with pytest.raises(ArgumentError, match="need|wanted"):
        desk("tokens.create", **said)

    assert desk("tokens.list") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": {"formatz": ["png"]}},
        {"limits": {"show_errors": "false"}},
        {"limits": {"expires": "2030-01-01"}},
        {"limits": ["png"]},
        {"enabled": "no"},
    ],
    ids=str,
)
def test_a_limit_that_is_none_makes_no_token(desk: Desk, wrong: dict[str, Any]) -> None:
    """Rather none than one that allows more than was meant."""
    saved = desk.save()

    with pytest.raises(ArgumentError):
        desk("tokens.create", udf_id=saved["id"], **wrong)

    assert desk("tokens.list") == []
