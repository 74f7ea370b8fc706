"""The saved UDFs as a host serves them: in memory, and read again only after a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fused_jupyter.errors import BusyError, ShareError
from fused_jupyter.storage.library import Library
from fused_jupyter.storage.library_tokens import NOTHING, SHOWN, is_of, is_open
from fused_jupyter.storage.saved import DEFAULT_COLLECTION, SavedUdf, Token
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """All that is saved, at one moment."""

    changes: int
    by_name: dict[tuple[str, str], SavedUdf]
    """By collection and name, in the order of names."""
    placed: dict[str, UdfDefinition]
    """By id, what runs; made once, as each takes the hash of the whole code."""
    tokens: dict[str, Token]
    """By the beginning of the SHA-256 of the secret."""

    def of_collection(self, collection: str) -> tuple[SavedUdf, ...]:
        """What is in it."""
        return tuple(saved for saved in self.by_name.values() if saved.collection == collection)

    def token(self, share: str) -> Token:
        """The token of a SHA-256, if it opens anything now."""
        found = self.tokens.get(share[:SHOWN])
        if found is None or not is_of(found, share) or not is_open(found):
            raise ShareError(NOTHING)
        return found


class Catalogue:
    """What a name or a token means now, for whoever asks often.

    Args:
        library: where it is kept.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._state: _State | None = None

    def named(self, name: str) -> UdfDefinition | None:
        """What a name alone means; None where nothing of that name is saved."""
        state = self._now()
        saved = state.by_name.get((DEFAULT_COLLECTION, name))
        return None if saved is None else state.placed[saved.id]

    def all(self) -> tuple[SavedUdf, ...]:
        """Those that a name alone means, by name."""
        return self._now().of_collection(DEFAULT_COLLECTION)

    def opened(self, share: str, udf: str) -> tuple[UdfDefinition, Limits]:
        """What a token opens, and how far.

        Args:
            share: SHA-256 of its secret.
            udf: the UDF that is asked for; may be empty with a token of one UDF.

        Raises:
            ShareError: nothing, or not that UDF; which is not told.
        """
        state = self._now()
        token = state.token(share)
        saved = state.by_name.get((token.collection, udf or token.udf_name or ""))
        if saved is None or token.udf_id not in {None, saved.id}:
            raise ShareError(NOTHING)
        return state.placed[saved.id], token.limits

    def describe(self, share: str) -> dict[str, Any]:
        """All that a token opens.

        Returns:
            `kind`, `collection`, `definitions` by name, `limits` and `metadata`.

        Raises:
            ShareError: nothing.
        """
        state = self._now()
        token = state.token(share)
        opened = [saved for saved in state.of_collection(token.collection) if token.udf_id in {None, saved.id}]
        return {
            "kind": token.kind,
            "collection": token.collection,
            "definitions": [state.placed[saved.id] for saved in opened],
            "limits": token.limits,
            "metadata": token.metadata,
        }

    def _now(self) -> _State:
        changes = self._library.changes()
        state = self._state
        if state is not None and state.changes == changes:
            return state
        try:
            # Mends the stamp too, on which kept results depend, if whoever wrote last died in between.
            _ = self._library.stamp
            udfs, tokens = self._library.snapshot()
        except BusyError:
            if state is None:
                raise
            return state  # what was true a moment ago, rather than none
        self._state = _State(
            changes=changes,
            by_name={(saved.collection, saved.name): saved for saved in udfs},
            placed={saved.id: saved.placed for saved in udfs},
            tokens={token.share[:SHOWN]: token for token in tokens},
        )
        return self._state
