"""Saved UDFs: what `udf.to_fused()` keeps, and where a name leads."""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fused_jupyter.api.credentials import whoami
from fused_jupyter.api.found import PREFIX, at_address, behind_shared_token, in_catalogues, is_address, sibling
from fused_jupyter.engines.nesting import depend_on, running
from fused_jupyter.errors import (
    ShareError,
    UdfDefinitionError,
    UdfExistsError,
    UdfNotFoundError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.runtime import KernelRuntime, current
from fused_jupyter.settings import Options
from fused_jupyter.storage.saved import COLLECTION_ID, ID
from fused_jupyter.udfs import COLLECTION, DEFAULT_COLLECTION, SIBLINGS, UdfDefinition
from fused_jupyter.wire import Limits

if TYPE_CHECKING:
    from fused_jupyter.storage import Library, SavedUdf

_OURS = (ID, COLLECTION, COLLECTION_ID, SIBLINGS)

TOKEN = re.compile(r"(fsh_|fc_|UDF_)[\w-]+(/\w+)?|[0-9a-f]{64}")
"""A token, of a collection also with the name of a UDF in it."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PUBLIC = len("fsh_") + 12
"""Characters of a public id."""
_MOST_LINES = 40
"""Of a difference that an error shows."""


def library() -> Library:
    """The saved UDFs of this user, also inside of UDFs."""
    return _library(os.getpid(), *map(os.environ.get, ("FUSED_DATA_DIRECTORY", "XDG_DATA_HOME", "HOME")))


@functools.lru_cache(maxsize=4)
def _library(*_: int | str | None) -> Library:  # what it depends on, so that a change of it is seen
    from fused_jupyter.storage import Library

    return Library(Path(os.path.expanduser(Options.from_environment().data_directory)))  # noqa: PTH111 - a Path raises where there is no home


# -- keeping


def save(
    definition: UdfDefinition, *, collection: str | None, overwrite: bool, create_collection: bool
) -> UdfDefinition:
    """Save a UDF; gives it with what its metadata say from now on.

    Raises:
        UdfDefinitionError: it is more than its code.
        UdfExistsError: another one is saved under this name.
    """
    check_savable(definition)
    if collection is None:
        collection = collection_of(definition)
    own_id = definition.metadata.get(ID) if collection == collection_of(definition) else None
    try:
        saved = library().save(
            bare(definition),
            collection=collection,
            overwrite=overwrite,
            udf_id=own_id,
            create_collection=create_collection,
        )
    except UdfExistsError as exc:
        there = library().find(definition.name, collection=collection)
        if not is_same(there.definition, definition):
            raise UdfExistsError(_explained(exc, there, definition), udf=definition.name) from None
        saved = there
    return saved.placed


def check_savable(definition: UdfDefinition) -> None:
    """See whether a UDF is all in its code.

    Raises:
        UdfDefinitionError: it needs the notebook; says what to do.
    """
    if definition.runs_in_kernel:
        raise UdfDefinitionError(
            f'{definition.name} runs in the kernel (engine="kernel"), and a saved UDF runs with no notebook open: '
            "leave the engine out, and load or import inside the function what it needs",
            udf=definition.name,
        )
    if definition.uses:
        names = ", ".join(definition.uses)
        raise UdfDefinitionError(
            f"{definition.name} uses variables of the notebook ({names}), and only code is saved: load the data inside "
            "the function, pass it as an argument, or keep it in a file that the function reads",
            udf=definition.name,
        )


def delete(definition: UdfDefinition) -> UdfDefinition:
    """Delete what is saved of a UDF, with its versions and tokens; gives it without a place.

    Raises:
        UnknownUdfError: it is not saved.
    """
    saved = saved_version(definition)
    if saved is None:
        raise UnknownUdfError(
            f"this version of {definition.name} is not saved; fused.load({definition.name!r}).delete_saved() deletes "
            "the one that is",
            udf=definition.name,
        )
    library().delete(saved.id)
    return bare(definition)


def saved_version(definition: UdfDefinition) -> SavedUdf | None:
    """What is saved of exactly this version: of its id, else of its name. None where nothing is, or other code."""
    if not library().exists:
        return None
    own_id = definition.metadata.get(ID)
    try:
        if own_id:
            saved = library().by_id(own_id)
        else:
            saved = library().find(definition.name, collection=collection_of(definition))
    except UnknownUdfError:
        return None
    return saved if is_same(saved.definition, definition) else None


def is_same(one: UdfDefinition, other: UdfDefinition) -> bool:
    """Whether two versions are the same, wherever they are saved."""
    return bare(one).digest == bare(other).digest


def bare(definition: UdfDefinition) -> UdfDefinition:
    """A UDF that does not know where it is saved."""
    return replace(definition, metadata={n: value for n, value in definition.metadata.items() if n not in _OURS})


def collection_of(definition: UdfDefinition) -> str:
    """The name of the collection that it was saved in, or would be."""
    return str(definition.metadata.get(COLLECTION) or DEFAULT_COLLECTION)


def _explained(error: UdfExistsError, there: SavedUdf, new: UdfDefinition) -> str:
    lines = difflib.unified_diff(
        there.definition.source.splitlines(),
        new.source.splitlines(),
        f"{there.name} (saved)",
        f"{new.name} (new)",
        lineterm="",
        n=1,
    )
    shown = list(lines)
    if len(shown) > _MOST_LINES:
        shown = [*shown[:_MOST_LINES], f"… {len(shown) - _MOST_LINES} more lines"]
    return "\n".join([error.message, *shown])


# -- finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a name may lead: the collection that was asked for, or that of the UDF which asks."""

    collection: str | None = None
    of_caller: str | None = None

    @classmethod
    def of(cls, collection: str | None) -> Place:
        """Seen from here: outside of UDFs, or inside of one that may be saved."""
        caller = running()
        return cls(collection=collection, of_caller=None if caller is None else caller.metadata.get(COLLECTION))


def is_token(text: str) -> bool:
    """Whether a text is a token; `UDF_<Name>` is one to the official client, and a name to us.

    >>> is_token("fsh_1a2b3c"), is_token("UDF_Rainfall")
    (True, False)
    """
    return TOKEN.fullmatch(text) is not None and not text.startswith(PREFIX)


def resolve(text: str, *, collection: str | None = None) -> UdfDefinition:
    """What a name means: a sibling, a registered UDF, a saved one, one by its id, or the one that a token opens.

    Args:
        text: `quakes`, `me/quakes`, `team/quakes`, `collection/quakes`, an id, a token, `UDF_Quakes` of a catalogue, or
            an address of GitHub.
        collection: only there.

    Raises:
        UnknownUdfError: nothing; says what is near.
        UnknownTokenError: a token that is none of this user's.
    """
    place = Place.of(collection)
    if is_address(text):
        return at_address(text, os.getcwd())  # noqa: PTH109 - a string is what travels
    if is_token(text):
        return opened_by(text)
    if _ID.fullmatch(text):
        return _saved(lambda shelf: shelf.by_id(text.lower()), text)
    if "/" in text:
        return _in_place(text, place)
    return _by_name(text, place)


def find_saved(text: str) -> UdfDefinition:
    """A saved UDF by its name, `me/name`, `collection/name` or its id, whatever the notebook calls so.

    Raises:
        UnknownUdfError: there is none; says what is near.
    """
    if _ID.fullmatch(text):
        return _saved(lambda shelf: shelf.by_id(text.lower()), text)
    if "/" in text:
        return _in_place(text, Place())
    return _saved(lambda shelf: shelf.find(text), text)


def opened_by(token: str) -> UdfDefinition:
    """The UDF that a token of this user opens, by the secret or by its public id.

    Raises:
        UnknownTokenError: it is none of this user's, or opens no UDF any more.
        ShareError: it is closed or expired, so that nobody else could run it either.
    """
    head, _, name = token.partition("/")
    if (live := _live(head)) is not None:
        udf, limits = live
        _check_open(head, is_enabled=True, limits=limits)
        return current().registry.get(udf)
    try:
        found = _consulted().token(head)
    except (UnknownTokenError, ShareError) as exc:
        if (definition := behind_shared_token(token, resolve)) is not None:
            return definition
        raise UnknownTokenError(
            "this token is none of your saved UDFs nor of this kernel: it may be deleted, of a kernel that ended, or "
            "of somebody else, whose UDF only its address runs: requests.get(address). Where you have the UDF in a "
            "folder, say so in shared_udfs.json of the data directory"
        ) from exc
    _check_open(found.id, is_enabled=found.enabled, limits=found.limits)
    if found.udf_id is not None:
        udf_id = found.udf_id
        return _saved(lambda shelf: shelf.by_id(udf_id), found.id)
    collection = found.collection
    if not name:
        names = ", ".join(saved.name for saved in library().udfs(collection=collection)) or "none yet"
        raise UnknownUdfError(
            f"the token {found.id} opens the collection {collection!r}; say which of its UDFs, as token + '/name': "
            f"{names}"
        )
    return _saved(lambda shelf: shelf.find(name, collection=collection), name)


def _live(token: str) -> tuple[str, Limits] | None:
    """What a token of this kernel opens."""
    runtime = current()
    if not isinstance(runtime, KernelRuntime):
        return None
    granted = runtime.granted()
    share = share_of(token, granted)
    return None if share is None else granted[share]


def _check_open(token: str, *, is_enabled: bool, limits: Limits) -> None:
    public = token if len(token) <= _PUBLIC else "this token"  # else it is a secret
    if not is_enabled:
        raise ShareError(f"{public} is closed: fused.api.update_udf_access_token(token, enabled=True) opens it")
    if limits.is_expired:
        raise ShareError(f"{public} has expired: fused.api.update_udf_access_token(token, expires=...) prolongs it")


def share_of(token: str, known: Collection[str]) -> str | None:
    """The SHA-256 of a token among those that are known: by its secret, its public id, or itself.

    >>> secret = "fsh_secret"
    >>> share = hashlib.sha256(secret.encode()).hexdigest()
    >>> share_of(secret, [share]) == share_of(f"fsh_{share[:12]}", [share]) == share
    True
    """
    digest = hashlib.sha256(token.encode()).hexdigest()
    if digest in known:
        return digest
    return next((share for share in known if token in {share, f"fsh_{share[:12]}"}), None)


def _by_name(name: str, place: Place) -> UdfDefinition:
    if place.collection is not None:
        wanted = place.collection
        return _saved(lambda shelf: shelf.find(name, collection=wanted), name)
    if (beside := sibling(name)) is not None:
        return beside
    if place.of_caller is not None:
        own = place.of_caller
        try:
            return _saved(lambda shelf: shelf.find(name, collection=own), name)
        except UnknownUdfError:  # then as everywhere else
            pass
    try:
        return _registered_or_saved(name)
    except UnknownUdfError as exc:
        if not name.startswith(PREFIX):
            raise
        try:
            return in_catalogues(name.removeprefix(PREFIX))
        except UnknownUdfError as other:
            raise UnknownUdfError(f"{exc.message}; and {other.message}", udf=name) from None


def _registered_or_saved(name: str) -> UdfDefinition:
    try:
        return current().registry.get(name)
    except UnknownUdfError as exc:
        if not _consulted().exists:
            raise
        try:
            return _saved(lambda shelf: shelf.find(name), name)
        except UnknownUdfError as other:
            raise UnknownUdfError(f"{exc.message}; and of the saved ones: {other.message}", udf=name) from None


def _in_place(text: str, place: Place) -> UdfDefinition:
    owner, _, name = text.rpartition("/")
    if is_own(owner):
        collection = place.collection or place.of_caller or DEFAULT_COLLECTION
        try:
            return _not_found(lambda shelf: shelf.find(name, collection=collection), text)
        except UdfNotFoundError:
            if (beside := sibling(name)) is not None:
                return beside
            raise
    if owner in {each.name for each in _consulted().collections()}:
        return _not_found(lambda shelf: shelf.find(name, collection=owner), text)
    try:
        return in_catalogues(name.removeprefix(PREFIX), owner=owner)
    except UnknownUdfError as exc:
        raise UdfNotFoundError(
            f"{text}: there is no collection {owner!r}, and a UDF of another account cannot be loaded, unless a "
            f"catalogue has it ({exc.message}); your own are me/{name} or {name}",
            udf=name,
        ) from exc


def is_own(owner: str) -> bool:
    """Whether that is a name of this user, or of the team, which here is the same."""
    return owner in {"me", "self", "team", *whoami().values()}


def _not_found(look: Callable[[Library], SavedUdf], text: str) -> UdfDefinition:
    try:
        return _saved(look, text)
    except UnknownUdfError as exc:
        raise UdfNotFoundError(exc.message, udf=exc.udf) from exc


def _saved(look: Callable[[Library], SavedUdf], text: str) -> UdfDefinition:
    shelf = _consulted()
    if not shelf.exists:
        raise UnknownUdfError(f"no UDF is saved yet, so there is no {text!r}; udf.to_fused() saves one")
    return look(shelf).placed


def _consulted() -> Library:
    """The library, noted as something that the result of a running UDF depends on."""
    shelf = library()
    depend_on(shelf.stamp)
    return shelf
