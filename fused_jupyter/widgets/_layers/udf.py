"""What layers of UDFs have: which UDF, with which values, in which version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Protocol, Self

from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.udfs.controls import plain_params
from fused_jupyter.widgets._layers.base import Layer


class NamedUdf(Protocol):
    """A UDF as users hold it."""

    @property
    def name(self) -> str:
        """What it is called in URLs."""


def name_of(udf: str | NamedUdf) -> str:
    """The name of a UDF given by name or as an object."""
    return udf if isinstance(udf, str) else udf.name


@dataclass(frozen=True, slots=True)
class UdfLayer(Layer):
    """A layer of what a UDF gives."""

    udf: str | NamedUdf
    """The UDF, or its name."""
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)
    """Values for this layer alone; they win over the map's."""
    version: str = ""
    """Digest of the UDF's code. The map fills it in."""
    parameters: tuple[str, ...] | None = ()
    """Names that the UDF takes; None means all. The map fills it in."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # as in the base
        put(self, "name", self.name or name_of(self.udf))
        put(self, "params", plain_params(self.params))
        Layer.__post_init__(self)

    def of(self, definition: UdfDefinition) -> Self:
        """The same layer for this version of its UDF."""
        takes_all = any(parameter.kind == "variadic" for parameter in definition.parameters)
        names = None if takes_all else tuple(p.name for p in definition.parameters if not p.is_spatial)
        return replace(self, version=definition.digest, parameters=names)

    def to_json(self) -> dict[str, Any]:
        """As in the base; the twin is `UdfSpec`."""
        return Layer.to_json(self) | {
            "udf": name_of(self.udf),
            "version": self.version,
            "parameters": None if self.parameters is None else [*self.parameters],
            "params": dict(self.params),
        }
