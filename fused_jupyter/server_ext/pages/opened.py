"""What a token opens, as pages and descriptions show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fused_jupyter.errors import ShareError
from fused_jupyter.server_ext.pages.entry import Entry
from fused_jupyter.server_ext.shared.guard import NOTHING
from fused_jupyter.wire import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What `Hosts.describe_share` says of one token."""

    kind: str
    """``udf`` or ``collection``."""
    summaries: tuple[Mapping[str, Any], ...]
    limits: Limits
    metadata: Mapping[str, Any]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """From the JSON that the host sent."""
        metadata = described.get("metadata")
        return cls(
            kind=str(described["kind"]),
            summaries=tuple(sorted(described["udfs"], key=lambda summary: str(summary["name"]))),
            limits=Limits.from_json(described.get("limits") or {}),
            metadata=metadata if isinstance(metadata, Mapping) else {},
        )

    @property
    def title(self) -> str:
        """What it is called."""
        own = self.metadata.get("name")
        if isinstance(own, str) and own:
            return own
        return str(self.summaries[0]["name"]) if self.kind == "udf" else "Shared UDFs"

    def entries(self, *, below: str) -> list[Entry]:
        """All UDFs, with their addresses.

        Args:
            below: what is before the addresses of each: empty, or a path with a slash at its end.
        """
        return [self._entry(summary, below) for summary in self.summaries]

    def entry(self, udf: str, *, below: str) -> Entry:
        """One UDF; without a name that of a token for one.

        Raises:
            ShareError: the token does not open it.
        """
        if (self.kind == "udf") == bool(udf):
            raise ShareError(NOTHING)
        found = next((each for each in self.summaries if not udf or each["name"] == udf), None)
        if found is None:
            raise ShareError(NOTHING)
        return self._entry(found, below)

    def _entry(self, summary: Mapping[str, Any], below: str) -> Entry:
        name = str(summary["name"])
        if self.kind == "udf":
            file, tiles, metadata = f"{below}run/file", f"{below}run/tiles", self.metadata
        else:
            file, tiles, metadata = below + name, f"{below}{name}/run/tiles", self.metadata.get(name, {})
        return Entry.of(summary, file=file, tiles=tiles, limits=self.limits, metadata=metadata)
