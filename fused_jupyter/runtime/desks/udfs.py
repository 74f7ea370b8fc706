"""Saved UDFs and their collections, in the shapes of Fused's own client; and code that runs without being saved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

import orjson

from fused_jupyter.errors import ArgumentError, UdfNotFoundError, UnknownUdfError
from fused_jupyter.settings import Options, whoami
from fused_jupyter.storage import DEFAULT_COLLECTION, Collection, Library, SavedUdf
from fused_jupyter.storage.exchange import body_of, definition_to_run, definition_to_save
from fused_jupyter.storage.layout import fitting_name
from fused_jupyter.udfs import UdfDefinition

_MOST = 1000
"""Of a list at a time."""
_SELF = frozenset({"me", "self", "team"})


def desk(
    library: Library, options: Options, publish: Callable[[UdfDefinition], None]
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """What the owner may ask for."""
    del options
    udfs, collections = _UdfDesk(library, publish), _CollectionDesk(library)
    return {
        "udfs.publish": udfs.publish,
        "udfs.publish_saved": udfs.publish_saved,
        "udfs.find": udfs.find,
        "udfs.by_id": udfs.by_id,
        "udfs.of_token": udfs.of_token,
        "udfs.list": udfs.list,
        "udfs.save": udfs.save,
        "udfs.delete": udfs.delete,
        "collections.list": collections.list,
        "collections.get": collections.get,
        "collections.create": collections.create,
        "collections.rename": collections.rename,
        "collections.delete": collections.delete,
        "collections.share": collections.share,
        "collections.unshare": collections.unshare,
    }


class _UdfDesk:
    def __init__(self, library: Library, publish: Callable[[UdfDefinition], None]) -> None:
        self._library = library
        self._publish = publish
        self._publishing = threading.Lock()  # each deed has a thread of its own

    def publish(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Name and version of code that came with a call."""
        return self._published(definition_to_run(_object("udf", said.get("udf"))))

    def publish_saved(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Name and version of a saved UDF."""
        return self._published(self._found(said).placed)

    def find(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A UDF by owner, collection and name."""
        return shape_of(self._found(said))

    def by_id(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A UDF by its id."""
        return shape_of(self._library.by_id(_text("id", said)))

    def of_token(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The UDF that a token opens."""
        head, _, name = _text("token", said).partition("/")
        token = self._library.token(head)
        if token.udf_id is not None:
            return shape_of(self._library.by_id(token.udf_id))
        if not name:
            raise ArgumentError(f"{token.id} opens the collection {token.collection!r}; say which UDF, as token/name")
        return shape_of(self._library.find(name, collection=token.collection))

    def list(self, said: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A page of all, by name."""
        return [shape_of(saved) for saved in self._library.udfs(**page(said))]

    def save(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A UDF that is there from now on: a new one, or a new version of `id`."""
        body = _object("udf_body", said.get("udf_body"))
        definition = definition_to_save(body, name=said.get("slug"))
        known = said.get("id")
        saved = self._library.save(definition, collection=self._place(said), udf_id=known)
        return shape_of(saved)

    def delete(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What was deleted, with its versions and tokens."""
        return shape_of(self._library.delete(_text("id", said)))

    def _published(self, definition: UdfDefinition) -> dict[str, str]:
        with self._publishing:
            self._publish(definition)
        return {"name": definition.name, "digest": definition.digest}

    def _found(self, said: Mapping[str, Any]) -> SavedUdf:
        owner, name = said.get("owner"), fitting_name(_text("slug", said))
        collection = said.get("collection") or DEFAULT_COLLECTION
        if owner is None or owner in _SELF or owner in whoami().values():
            return self._library.find(name, collection=collection)
        if any(owner == each.name for each in self._library.collections()):
            return self._library.find(name, collection=owner)
        raise UdfNotFoundError(
            f"{owner}/{name}: there is no collection {owner!r}, and no UDFs of other accounts are here; yours are "
            f"{whoami()['handle']}/{name} or {name}",
            udf=name,
        )

    def _place(self, said: Mapping[str, Any]) -> str:
        """The collection that is asked for, else the one that the UDF is in, else that of all."""
        if said.get("collection_id"):
            return _text("collection_id", said)
        if said.get("id"):
            try:
                return self._library.by_id(_text("id", said)).collection_id
            except UnknownUdfError:  # deleted meanwhile: then it is a new one
                pass
        return DEFAULT_COLLECTION


class _CollectionDesk:
    def __init__(self, library: Library) -> None:
        self._library = library

    def list(self, said: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A page of all, by name."""
        wanted = page(said)
        found = self._library.collections()[wanted["skip"] : wanted["skip"] + wanted["limit"]]
        return [_collection_shape(collection) for collection in found]

    def get(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One, by name or id."""
        return _collection_shape(self._library.collection(_text("collection", said)))

    def create(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A new one."""
        return _collection_shape(self._library.create_collection(_text("name", said)))

    def rename(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One under its new name."""
        renamed = self._library.rename_collection(_text("collection", said), _text("name", said))
        return _collection_shape(renamed)

    def delete(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What was deleted; it was empty."""
        return _collection_shape(self._library.delete_collection(_text("collection", said)))

    def share(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One with a new token: of an earlier one the secret is not known any more. `new_token` closes those."""
        collection = self._library.collection(_text("collection", said))
        if said.get("new_token"):
            self._close_tokens(collection)
        secret, token = self._library.create_token(collection=collection.id, client_id=said.get("client_id"))
        return _collection_shape(collection) | {"share_token": secret, "share_client_id": token.client_id}

    def unshare(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One that no token opens any more."""
        collection = self._library.collection(_text("collection", said))
        self._close_tokens(collection)
        return _collection_shape(collection)

    def _close_tokens(self, collection: Collection) -> None:
        for token in self._library.tokens(collection=collection.id):
            self._library.delete_token(token.id)


def shape_of(saved: SavedUdf) -> dict[str, Any]:
    """A saved UDF as the official client reads it."""
    return {
        "id": saved.id,
        "slug": saved.name,
        "name": saved.name,
        "udf_body": orjson.dumps(body_of(saved)).decode(),
        "udf_type": "auto",
        "is_visible": True,
        "allow_public_read": False,
        "allow_public_list": False,
        "collection_id": saved.collection_id,
        "collection_name": saved.collection,
        "version": saved.version,
        "last_updated": moment(saved.saved_at),
    }


def moment(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601.

    >>> moment(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat()


class Page(TypedDict):
    """A part of a list."""

    limit: int
    skip: int


def page(said: Mapping[str, Any]) -> Page:
    """`limit` and `skip` of a list, as a query has them.

    >>> page({"skip": "300"}), page({"limit": "5"})
    ({'limit': 1000, 'skip': 300}, {'limit': 5, 'skip': 0})
    """
    return Page(limit=min(_count("limit", said, _MOST), _MOST), skip=_count("skip", said, 0))


def _collection_shape(collection: Collection) -> dict[str, Any]:
    return {
        "id": collection.id,
        "name": collection.name,
        "username": whoami()["handle"],
        "access_scope": "team",
        "allow_public_read": False,
        "dashboard_body": None,
        "share_token": None,
        "last_updated": moment(collection.created_at),
    }


def _count(name: str, said: Mapping[str, Any], default: int) -> int:
    text = str(default if said.get(name) is None else said[name])
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ArgumentError(f"{name}: got {text!r}, need a number, e.g. {name}=100")
    return int(text)


def _text(name: str, said: Mapping[str, Any]) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{name}: got {value!r}, need a text")
    return value


def _object(name: str, said: Any) -> Mapping[str, Any]:
    """A JSON object, or the text of one."""
    if isinstance(said, str):
        try:
            said = orjson.loads(said)
        except ValueError as exc:
            raise ArgumentError(f"{name} is no JSON: {exc}") from exc
    if not isinstance(said, Mapping):
        raise ArgumentError(f"{name}: got a JSON {type(said).__name__}, need an object")
    return said
