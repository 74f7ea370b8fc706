"""What the library keeps, as frozen values: saved UDFs, collections and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fused_jupyter.udfs import COLLECTION, DEFAULT_COLLECTION, UdfDefinition
from fused_jupyter.wire import Limits

__all__ = ["COLLECTION_ID", "DEFAULT_COLLECTION", "ID", "Collection", "SavedUdf", "Token"]

ID, COLLECTION_ID = "fused:id", "fused:collection_id"
"""What the metadata of a saved UDF say of it, beside `COLLECTION`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedUdf:
    """One version of a saved UDF."""

    id: str
    """UUID, the same for all versions."""
    name: str
    collection: str
    collection_id: str
    version: int
    """Counted from 1."""
    saved_at: float
    """Seconds since the epoch."""
    definition: UdfDefinition
    """As it was saved."""

    @property
    def placed(self) -> UdfDefinition:
        """As it runs: it knows where it is saved, and so finds the others of its collection."""
        place = {ID: self.id, COLLECTION: self.collection, COLLECTION_ID: self.collection_id}
        return replace(self.definition, metadata={**self.definition.metadata, **place})


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A group of saved UDFs, in which a name means one of them."""

    id: str
    name: str
    created_at: float
    """Seconds since the epoch; 0 for the one that is always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token; its secret is not."""

    id: str
    """Names it in lists and opens nothing: `fsh_` or `fc_`, and the beginning of `share`."""
    share: str = field(repr=False)
    """SHA-256 of the secret, in hex."""
    kind: Literal["udf", "collection"]
    udf_id: str | None
    """The UDF that it opens; None for a whole collection."""
    udf_name: str | None
    collection: str
    """The collection that it opens, or in which its UDF is."""
    limits: Limits
    metadata: Mapping[str, Any] | None = field(hash=False)
    enabled: bool
    created_at: float
    """Seconds since the epoch."""
    updated_at: float
    client_id: str | None
    """This and the next two are kept for the official client and change nothing here."""
    public_read: bool
    access_scope: str | None
