"""Tokens of saved UDFs, in the shapes of Fused's own client.

A secret is in the answer that made it, and in answers to who sent it; everywhere else `token` is the public id, which
opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime.desks.udfs import moment, page
from fused_jupyter.settings import Options, whoami
from fused_jupyter.storage import DEFAULT_COLLECTION, Library, SavedUdf, Token
from fused_jupyter.storage.layout import fitting_name
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits

_KEPT = ("client_id", "public_read", "access_scope")
"""What the official client says of a token and what changes nothing here."""
_LIMITS = tuple(each.name for each in fields(Limits))


def desk(
    library: Library, options: Options, publish: Callable[[UdfDefinition], None]
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """What the owner may ask for."""
    del options, publish
    tokens = _TokenDesk(library)
    return {
        "tokens.create": tokens.create,
        "tokens.list": tokens.list,
        "tokens.get": tokens.get,
        "tokens.update": tokens.update,
        "tokens.delete": tokens.delete,
    }


class _TokenDesk:
    def __init__(self, library: Library) -> None:
        self._library = library

    def create(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A new token, with its secret."""
        limits = _limits(said, Limits())
        kept = {name: said[name] for name in _KEPT if said.get(name) is not None}
        is_enabled = _truth("enabled", True if said.get("enabled") is None else said["enabled"])
        metadata = said.get("metadata_json") or None
        secret, token = self._library.create_token(
            udf_id=self._udf(said).id, limits=limits, metadata=metadata, **_checked(kept)
        )
        if not is_enabled:
            token = self._library.update_token(token.id, enabled=False)
        return _shape(token, secret)

    def list(self, said: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A page of all, the oldest first."""
        return [_shape(token, token.id) for token in self._library.tokens(**page(said))]

    def get(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One, by its secret or its public id."""
        return _shape(self._library.token(_name(said)), _name(said))

    def update(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """One that is changed; of what is null or not there nothing changes."""
        known = self._library.token(_name(said))
        changes = {name: said[name] for name in ("enabled", *_KEPT) if said.get(name) is not None}
        if said.get("metadata_json") is not None:
            changes["metadata"] = said["metadata_json"]
        limits = _limits(said, known.limits)
        if limits != known.limits:
            changes["limits"] = limits
        return _shape(self._library.update_token(known.id, **_checked(changes)), _name(said))

    def delete(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What it was; it opens nothing any more."""
        return _shape(self._library.delete_token(_name(said)), _name(said))

    def _udf(self, said: Mapping[str, Any]) -> SavedUdf:
        if said.get("udf_id"):
            return self._library.by_id(str(said["udf_id"]))
        owner, name = said.get("udf_email"), said.get("udf_slug")
        if not isinstance(name, str) or (owner is not None and owner not in {"me", "self", *whoami().values()}):
            raise ArgumentError(
                f"a token needs a UDF of yours: got udf_id=None, udf_email={owner!r}, udf_slug={name!r}, need udf_id, "
                "or udf_slug and your own udf_email"
            )
        return self._library.find(fitting_name(name), collection=said.get("collection_name") or DEFAULT_COLLECTION)


def _shape(token: Token, shown: str) -> dict[str, Any]:
    return {
        "token": shown,
        "id": token.id,
        "udf_email": whoami()["email"],
        "udf_slug": token.udf_name,
        "udf_id": token.udf_id,
        "collection_name": token.collection,
        "enabled": token.enabled,
        "owning_user_id": whoami()["handle"],
        "owning_execution_environment_id": None,
        "client_id": token.client_id,
        "public_read": token.public_read,
        "access_scope": token.access_scope,
        "cache": token.limits.cache,
        "limits": token.limits.to_json(),
        "metadata_json": dict(token.metadata or {}),
        "last_updated": moment(token.updated_at),
    }


def _limits(said: Mapping[str, Any], known: Limits) -> Limits:
    """Those that are known, changed by `limits`, which the official client does not have, and `cache`."""
    wanted = said.get("limits")
    if wanted is not None:
        if not isinstance(wanted, Mapping):
            raise ArgumentError(f'limits: got {wanted!r}, need an object, e.g. {{"formats": ["png"]}}')
        if unknown := sorted(wanted.keys() - set(_LIMITS)):  # left out, the token would allow more than was meant
            raise ArgumentError(f"limits: there is no {unknown[0]!r}; there are {', '.join(_LIMITS)}")
        known = Limits.from_json(known.to_json() | dict(wanted))
    return known if said.get("cache") is None else replace(known, cache=_truth("cache", said["cache"]))


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    for name in values.keys() & {"enabled", "public_read"}:
        _truth(name, values[name])
    for name in values.keys() & {"client_id", "access_scope"}:
        if not isinstance(values[name], str):
            raise ArgumentError(f"{name}: got {values[name]!r}, need a text")
    return values


def _truth(name: str, said: Any) -> bool:  # as JSON has it
    if not isinstance(said, bool):
        raise ArgumentError(f"{name}: got {said!r}, need true or false")
    return said


def _name(said: Mapping[str, Any]) -> str:
    return str(said.get("token") or "")
