"""`fused.api`: saved UDFs, collections and tokens, by the names of the official client."""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, Unpack

from fused_jupyter.api.limits import NarrowWishes, Wishes, limits_of, split_wishes
from fused_jupyter.api.load import LoadedUdf
from fused_jupyter.api.saved import find_saved, library
from fused_jupyter.api.tokens import Changes, UdfAccessToken, UdfAccessTokenList, create_stored, find, tokens
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import ArgumentError
from fused_jupyter.storage.saved import ID
from fused_jupyter.udfs import UdfDefinition, renamed

if TYPE_CHECKING:
    from fused_jupyter.storage import Collection

_OWN = ("self", "team")
_ORDERS = ("name", "id", "slug")


class UdfRegistry(dict[str, Udf]):
    """Saved UDFs by `collection/name`; those of the collection `default` also by their name alone."""

    def __missing__(self, name: str) -> Udf:
        if (key := f"default/{name}") in self:
            return self[key]
        raise KeyError(f"{name}; there are {', '.join(itertools.islice(self, 20)) or 'none'}")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(udf.collection_name)}</td><td><code>{html.escape(udf.signature)}</code></td>"
            f"<td>{html.escape(udf.definition.description.partition(chr(10))[0])}</td></tr>"
            for udf in self.values()
        )
        return f"<table><tr><th>collection</th><th>UDF</th><th></th></tr>{rows}</table>"


def get_udfs(
    n: int | None = None,
    *,
    skip: int = 0,
    by: Literal["name", "id", "slug"] = "name",
    whose: Literal["self", "team", "public", "community"] = "self",
    collection_name: str | None = None,
) -> UdfRegistry:
    """The saved UDFs, in the version that answers now.

    Args:
        n: how many; None is all.
        skip: how many to pass over.
        by: their order.
        whose: `self` or `team`, which are the same here.
        collection_name: those of this collection only.

    Returns:
        UDFs by `collection/name`, which can be called at once.

    Raises:
        ArgumentError: UDFs of others, or an unknown order.

    >>> from fused_jupyter import udf
    >>> @udf
    ... def half(n: int = 2):
    ...     return n / 2
    >>> half = half.to_fused(overwrite=True)
    >>> get_udfs()["half"](n=4)
    2.0
    >>> half.delete_saved()
    """
    if whose not in _OWN:
        raise ArgumentError(f"whose: got {whose!r}; UDFs of others are not kept here, fused.load opens a folder of one")
    if by not in _ORDERS:
        raise ArgumentError(f"by: got {by!r}, need one of {', '.join(_ORDERS)}")
    if not library().exists:
        return UdfRegistry()
    found = library().udfs(collection=collection_name, limit=n, skip=skip, by=by)
    return UdfRegistry({f"{saved.collection}/{saved.name}": LoadedUdf(saved.placed) for saved in found})


def save_udf(
    udf: Udf,
    slug: str | None = None,
    *,
    overwrite: bool | None = None,
    collection_name: str | None = None,
    create_collection: bool = False,
) -> Udf:
    """Save a UDF, see `Udf.to_fused`; `slug` is another name for it."""
    if slug is not None and slug != udf.name:
        udf = Udf(renamed(udf.definition, slug))
    return udf.to_fused(overwrite, collection_name=collection_name, create_collection=create_collection)


def delete_saved_udf(udf_id: str) -> None:
    """Delete a saved UDF, with all versions and tokens.

    Args:
        udf_id: its id, or its name.

    Raises:
        UnknownUdfError: there is none.
    """
    library().delete(_id(find_saved(udf_id)))


def invalidate_cache(udf: Udf | str) -> int:
    """Delete the kept results of a UDF; gives how many there were."""
    from fused_jupyter.api.results import delete_results

    return delete_results(udf.name if isinstance(udf, Udf) else find_saved(udf).name)


# -- collections


def list_collections() -> list[Collection]:
    """The collections of saved UDFs."""
    return library().collections()


def get_collection_by_name(name: str) -> Collection:
    """A collection.

    Raises:
        UnknownUdfError: there is none of that name.
    """
    return library().collection(name)


def get_collection_by_id(collection_id: str) -> Collection:
    """A collection.

    Raises:
        UnknownUdfError: there is none of that id.
    """
    return library().collection(collection_id)


def create_collection(name: str) -> Collection:
    """A new collection.

    Raises:
        UdfExistsError: there is one of that name.
    """
    return library().create_collection(name)


# -- tokens


def create_udf_access_token(
    udf_email_or_name_or_id: str | None = None,
    udf_name: str | None = None,
    *,
    udf_email: str | None = None,
    udf_id: str | None = None,
    client_id: str | EllipsisType | None = ...,
    cache: bool = True,
    metadata_json: Mapping[str, Any] | None = None,
    enabled: bool = True,
    public_read: bool | None = None,
    access_scope: str | None = None,
    **limits: Unpack[NarrowWishes],
) -> UdfAccessToken:
    """A token of a saved UDF, which opens it for everybody who has the token.

    Args:
        udf_email_or_name_or_id: its name, its id, or with `udf_name` whose it is.
        udf_name: its name.
        udf_email: whose it is; without `udf_name` its name.
        udf_id: its id.
        client_id: kept for the official client.
        cache: whether results are kept for it.
        metadata_json: what its TileJSON says beside the usual.
        enabled: False makes one that opens nothing yet.
        public_read: kept for the official client.
        access_scope: kept for the official client.
        **limits: `expires`, `rate` and so on, see `Udf.create_access_token`.

    Returns:
        The token; its `token` is the secret, which is kept nowhere.

    Raises:
        UnknownUdfError: no such UDF is saved.
        ArgumentError: no UDF is named, or a limit cannot be.
    """
    owner = udf_email_or_name_or_id or udf_email
    named = [part for part in (udf_id,) if part] or [part for part in (owner, udf_name) if part]
    if not named:
        raise ArgumentError("which UDF? Give its name or its id: create_udf_access_token('quakes')")
    definition = find_saved("/".join(named))
    wishes: Wishes = {**limits, "cache": cache}
    rest = {
        "metadata_json": metadata_json,
        "enabled": enabled,
        "client_id": None if isinstance(client_id, EllipsisType) else client_id,
        "public_read": bool(public_read),
        "access_scope": access_scope,
    }
    return create_stored(limits_of(wishes, udf=definition), rest, udf_id=_id(definition))


def create_collection_access_token(collection_name: str, **wishes: Unpack[Changes]) -> UdfAccessToken:
    """A token of a collection: it opens all UDFs that are in it, now and later, each by its name.

    Args:
        collection_name: the collection.
        **wishes: what `Udf.create_access_token` takes.

    Returns:
        The token; `for_udf(name)` has the addresses of one UDF.

    Raises:
        UnknownUdfError: there is no such collection.
    """
    asked, rest = split_wishes(wishes)
    return create_stored(limits_of(asked), rest, collection=collection_name)


def get_udf_access_token(token: str | UdfAccessToken) -> UdfAccessToken:
    """A token by its secret or its public id.

    Raises:
        UnknownTokenError: there is none.
    """
    return find(token)


def get_udf_access_tokens(n: int | None = None, *, skip: int = 0) -> UdfAccessTokenList:
    """All tokens, also the live ones of this kernel, without their secrets.

    Args:
        n: how many; None is all.
        skip: how many to pass over.
    """
    return tokens(limit=n, skip=skip)


def update_udf_access_token(token: str | UdfAccessToken, **changes: Unpack[Changes]) -> UdfAccessToken:
    """Change a token, from the next request on; see `UdfAccessToken.update`."""
    return find(token).update(**changes)


def delete_udf_access_token(token: str | UdfAccessToken, *, enabled: bool | None = None) -> UdfAccessToken:
    """Close a token for ever; gives what it was. `enabled` means nothing, old code says it."""
    del enabled
    found = find(token)
    found.delete()
    return found


def _id(definition: UdfDefinition) -> str:
    return str(definition.metadata[ID])
