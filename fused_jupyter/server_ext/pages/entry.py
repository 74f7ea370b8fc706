"""One UDF as it is shown to somebody who may run it: its parameters, its addresses, what may be asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from fused_jupyter.server_ext.hosts import Host
from fused_jupyter.wire import Limits
from fused_jupyter.wire.host_settings import SAVED

MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/octet-stream",
    "geojson": "application/geo+json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "feather": "application/vnd.apache.arrow.file",
    "html": "text/html",
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "tiff": "image/tiff",
    "npy": "application/x-numpy-data",
    "mvt": "application/vnd.mapbox-vector-tile",
    "xml": "application/xml",
    "zip": "application/zip",
    "bin": "application/octet-stream",
}
"""Every format → its media type, those first that are asked for most. Twin: formats/catalog.py."""

_DRAWN = ("png", "mvt")
"""Twin: js/src/tiles/address.ts."""

DEEPEST_ZOOM = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One UDF, its addresses below some root, and what may be asked of it."""

    name: str
    description: str = ""
    schema: Mapping[str, Any]
    """Parameters as JSON Schema, only those that may come."""
    spatial: str | None = None
    """The parameter that takes the tile; None where it gives no tiles."""
    file: str
    """The address of the result, without the format."""
    tiles: str
    """The address of tiles, without `/z/x/y` and the format."""
    controls: tuple[Mapping[str, Any], ...] = ()
    """What sets its parameters on a map, those of the schema."""
    formats: tuple[str, ...] = tuple(MEDIA_TYPES)
    zooms: tuple[int, int] = (0, DEEPEST_ZOOM)
    kernel: str = ""
    """The kernel that answers, for its owner."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the owner of a token says of it; nothing here is checked yet."""

    @classmethod
    def of(
        cls,
        summary: Mapping[str, Any],
        *,
        file: str,
        tiles: str,
        limits: Limits | None = None,
        metadata: object = None,
    ) -> Self:
        """An entry from a `UdfSummary`, with what a token allows.

        >>> summary = {"name": "f", "schema": {"properties": {"a": {}, "b": {}}, "required": ["b"]}}
        >>> Entry.of(summary, file="f", tiles="f", limits=Limits(parameters=("a",), formats=("csv",))).formats
        ('csv',)
        """
        limits = limits or Limits()
        schema = _allowed(summary.get("schema", {}), limits.parameters)
        names = schema.get("properties", {})
        return cls(
            name=str(summary["name"]),
            description=str(summary.get("description", "")),
            schema=schema,
            controls=tuple(control for control in summary.get("controls", ()) if control["name"] in names),
            spatial=summary.get("spatial"),
            file=file,
            tiles=tiles,
            formats=tuple(MEDIA_TYPES) if limits.formats is None else limits.formats,
            zooms=limits.zooms or (0, DEEPEST_ZOOM),
            kernel=str(summary.get("kernel", "")),
            metadata=metadata if isinstance(metadata, Mapping) else {},
        )

    @property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """Schema of each parameter."""
        properties: Mapping[str, Mapping[str, Any]] = self.schema.get("properties", {})
        return properties

    @property
    def drawn(self) -> tuple[str, ...]:
        """Formats of its tiles that a map asks for; none where it gives no tiles."""
        return () if self.spatial is None else tuple(name for name in _DRAWN if name in self.formats)

    @property
    def required(self) -> frozenset[str]:
        """Parameters without a default."""
        return frozenset(self.schema.get("required", ()))


def entries_of(hosts: Iterable[Host]) -> list[Entry]:
    """One entry for each name, as a request without a kernel finds it: the newest one of a kernel, else the saved one.

    Args:
        hosts: that of saved UDFs comes last.
    """
    found: dict[str, dict[str, Any]] = {}
    for host in hosts:
        for name, summary in host.udfs.items():
            if name not in found or (host.kernel_id != SAVED and _since(summary) > _since(found[name])):
                found[name] = {**summary, "kernel": host.kernel_id}
    return [owned(found[name]) for name in sorted(found)]


def owned(summary: Mapping[str, Any], *, root: str = "") -> Entry:
    """The entry of a UDF at the addresses of its owner.

    Args:
        summary: the `UdfSummary`.
        root: the way to `fused/`.
    """
    name = summary["name"]
    return Entry.of(summary, file=f"{root}run/file/{name}", tiles=f"{root}run/tiles/{name}")


def _since(summary: Mapping[str, Any]) -> float:
    return float(summary["registered_at"])


def _allowed(schema: Mapping[str, Any], names: tuple[str, ...] | None) -> Mapping[str, Any]:
    if names is None:
        return schema
    return {
        **schema,
        "properties": {name: each for name, each in schema.get("properties", {}).items() if name in names},
        "required": [name for name in schema.get("required", ()) if name in names],
        "additionalProperties": False,
    }
