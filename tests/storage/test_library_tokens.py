from __future__ import annotations

import contextlib
import hashlib
import pickle
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, ShareError, UnknownTokenError, UnknownUdfError
from fused_jupyter.storage import Library, SavedUdf
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits

Define = Callable[..., UdfDefinition]


def sha(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "data")


@pytest.fixture
def saved(library: Library, definition: Define) -> SavedUdf:
    return library.save(definition("def quakes(n: int = 1):\n    return n"))


@pytest.fixture
def other(library: Library, definition: Define) -> SavedUdf:
    return library.save(definition("def roads():\n    return 1"), collection="my maps", create_collection=True)


def test_token_of_a_udf(library: Library, saved: SavedUdf) -> None:
    """Its secret has 256 bits; what is known of it names the UDF."""
    before = time.time()

    secret, token = library.create_token(udf_id=saved.id)

    assert secret.startswith("fsh_")
    assert len(secret) == 4 + 43
    assert token.share == sha(secret)
    assert token.id == f"fsh_{token.share[:12]}"
    assert (token.kind, token.udf_id, token.udf_name, token.collection) == ("udf", saved.id, "quakes", "default")
    assert (token.limits, token.enabled, token.metadata) == (Limits(), True, None)
    assert before <= token.created_at == token.updated_at <= time.time()
    assert library.opened_by(token.share) == token


def test_token_of_a_collection(library: Library, other: SavedUdf) -> None:
    """It names no UDF, and goes on to open the collection under another name."""
    secret, token = library.create_token(collection="my maps")

    assert secret.startswith("fc_")
    assert token.id == f"fc_{sha(secret)[:12]}"
    assert (token.kind, token.udf_id, token.udf_name, token.collection) == ("collection", None, None, "my maps")

    library.rename_collection("my maps", "charts")

    assert library.opened_by(token.share).collection == "charts"


def test_all_that_is_said_of_a_token_is_kept(library: Library, saved: SavedUdf) -> None:
    """For each process."""
    said: dict[str, Any] = {
        "limits": Limits(parameters=("n",), formats=("png",), zooms=(0, 9), rate=2.5, concurrency=3, cache=False,
                         show_errors=True, expires=time.time() + 60),
        "metadata": {"tiles": [1, {"a": None}]},
        "public_read": True,
        "access_scope": "public",
        "client_id": "fused",
    }  # fmt: skip

    _, token = library.create_token(udf_id=saved.id, **said)

    found = Library(library._directory).token(token.id)
    assert found == token
    assert {name: getattr(found, name) for name in said} == said


def test_token_is_found_by_secret_id_and_hash(library: Library, saved: SavedUdf, other: SavedUdf) -> None:
    """The id opens nothing, it only names it; so does the hash, which a host is asked with."""
    made = [library.create_token(udf_id=saved.id), library.create_token(collection="my maps")]

    for secret, token in made:
        assert library.token(secret) == library.token(token.id) == library.token(token.share) == token
        with pytest.raises(ShareError):
            library.opened_by(token.id)
        with pytest.raises(ShareError):
            library.opened_by(secret)


@pytest.mark.parametrize("text", ["", "fsh_", "fsh_nothing", "UDF_x", "\ud800", "a" * 64, "' OR 1=1 --", "%"])
def test_unknown_tokens_are_said_to_be_so(library: Library, saved: SavedUdf, text: str) -> None:
    """What came is not repeated, as it may be most of a secret."""
    library.create_token(udf_id=saved.id)

    with pytest.raises(UnknownTokenError) as caught:
        library.token(text)
    with pytest.raises(ShareError):
        library.opened_by(text)

    assert len(text) < 4 or text not in caught.value.message


def test_closed_expired_and_unknown_are_the_same(library: Library, saved: SavedUdf) -> None:
    """One message: who tries tokens learns nothing of them."""
    closed = library.create_token(udf_id=saved.id)[1]
    library.update_token(closed.id, enabled=False)
    expired = library.create_token(udf_id=saved.id, limits=Limits(expires=time.time() - 1))[1]
    deleted = library.create_token(udf_id=saved.id)[1]
    library.delete_token(deleted.id)
    nearly = library.create_token(udf_id=saved.id)[1].share

    messages = set()
    for share in (closed.share, expired.share, deleted.share, sha("x"), "", nearly[:-1], nearly + "0", nearly.upper()):
        with pytest.raises(ShareError) as caught:
            library.opened_by(share)
        messages.add(str(caught.value.to_wire()))

    assert len(messages) == 1


def test_token_expires_by_itself(library: Library, saved: SavedUdf) -> None:
    """Nobody has to do anything."""
    _, token = library.create_token(udf_id=saved.id, limits=Limits(expires=time.time() + 0.2))

    assert library.opened_by(token.share) == token
    time.sleep(0.25)
    with pytest.raises(ShareError):
        library.opened_by(token.share)
    assert library.token(token.id) == token


def test_only_what_is_given_changes(library: Library, saved: SavedUdf) -> None:
    """And the time of change."""
    _, token = library.create_token(udf_id=saved.id, metadata={"a": 1}, client_id="x")

    closed = library.update_token(token.id, enabled=False)
    opened = library.update_token(token.id, enabled=True, limits=Limits(rate=3), metadata=None, client_id=None)

    assert closed == replace(token, enabled=False, updated_at=closed.updated_at)
    assert opened == replace(token, limits=Limits(rate=3), metadata=None, client_id=None, updated_at=opened.updated_at)
    assert token.updated_at < closed.updated_at < opened.updated_at
    assert library.opened_by(token.share) == opened


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"metadata": [1]}, "metadata: .* a dict"),
        ({"metadata": {"a": object()}}, "metadata of a token is kept as JSON"),
        ({"limits": {"rate": 1}}, "limits: .* Limits"),
        ({"client_id": 3}, "client_id: .* text"),
        ({"access_scope": {}}, "access_scope: .* text"),
        ({"public_read": "yes"}, "public_read: .* True or False"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    library: Library, saved: SavedUdf, values: dict[str, Any], message: str
) -> None:
    """When it is made, and when it is changed; the token stays as it was."""
    _, token = library.create_token(udf_id=saved.id)

    with pytest.raises(ArgumentError, match=message):
        library.create_token(udf_id=saved.id, **values)
    with pytest.raises(ArgumentError, match=message):
        library.update_token(token.id, **values)

    assert library.tokens() == [token]


def test_token_opens_one_thing(library: Library, saved: SavedUdf) -> None:
    """A UDF or a collection, which must be there."""
    with pytest.raises(ArgumentError, match="either one UDF or one collection"):
        library.create_token()
    with pytest.raises(ArgumentError, match="either one UDF or one collection"):
        library.create_token(udf_id=saved.id, collection="default")
    with pytest.raises(UnknownUdfError):
        library.create_token(udf_id="nothing")
    with pytest.raises(UnknownUdfError):
        library.create_token(collection="nothing")

    assert library.tokens() == []


def test_tokens_are_listed_by_what_they_open(library: Library, saved: SavedUdf, other: SavedUdf) -> None:
    """The oldest first; the secret is nowhere in it."""
    made = [library.create_token(udf_id=saved.id) for _ in range(3)]
    made.append(library.create_token(udf_id=other.id))
    made.append(library.create_token(collection="my maps"))
    tokens = [token for _, token in made]

    assert library.tokens() == tokens
    assert library.tokens(udf_id=saved.id) == tokens[:3]
    assert library.tokens(udf_id=other.id) == tokens[3:4]
    assert library.tokens(collection="my maps") == tokens[4:]
    assert library.tokens(limit=2, skip=1) == tokens[1:3]
    assert library.tokens(udf_id="nothing") == []


def test_tokens_go_with_what_they_open(library: Library, saved: SavedUdf, other: SavedUdf) -> None:
    """Those of the UDF, and those of the collection; the others stay. A UDF of the same name does not wake them."""
    of_udf = library.create_token(udf_id=other.id)[1]
    of_collection = library.create_token(collection="my maps")[1]
    stays = library.create_token(udf_id=saved.id)[1]

    library.delete(other.id)
    assert library.tokens() == [of_collection, stays]
    library.save(other.definition, collection="my maps")
    with pytest.raises(ShareError):
        library.opened_by(of_udf.share)
    library.delete(library.find("roads", collection="my maps").id)
    library.delete_collection("my maps")

    assert library.tokens() == [stays]


def test_secret_is_in_no_file_and_no_text(library: Library, saved: SavedUdf) -> None:
    """Nor any part of it that would help."""
    made = [library.create_token(udf_id=saved.id), library.create_token(collection="default")]
    library.update_token(made[0][0], enabled=False)
    library.delete_token(made[1][0])

    texts = [repr(library), repr(library.tokens()), *(repr(token) for _, token in made)]
    files = [path.read_bytes() for path in library._directory.iterdir()]
    pickles = [pickle.dumps(token) for _, token in made]
    for secret, token in made:
        random = secret.partition("_")[2]
        assert not any(random[i : i + 8].encode() in file for file in files + pickles for i in range(0, 35, 7))
        assert not any(random[i : i + 8] in text for text in texts for i in range(0, 35, 7))
        assert token.share not in repr(token)
    assert made[0][1].share.encode() in b"".join(files)  # the hash, so that the test looks at the right files


def test_a_token_of_limits_that_nobody_understands_opens_nothing(library: Library, saved: SavedUdf) -> None:
    """A newer version may allow what this one refuses; the other tokens go on."""
    odd, good = (library.create_token(udf_id=saved.id)[1] for _ in range(2))
    with contextlib.closing(sqlite3.connect(library.stamp.with_name("library.sqlite3"))) as connection:
        connection.execute("UPDATE tokens SET limits = ? WHERE id = ?", ('{"zooms": [0, 99]}', odd.id))
        connection.commit()

    assert {token.id for token in library.tokens()} == {odd.id, good.id}
    assert library.opened_by(good.share) == good
    with pytest.raises(ShareError):
        library.opened_by(odd.share)
