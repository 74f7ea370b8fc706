"""One version of a UDF, frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

import orjson

from fused_jupyter.udfs.parameters import Parameter, schema_of

SourceDigest = NewType("SourceDigest", str)
"""SHA-256 in hex of all that makes a UDF give what it gives: name, entry point, source, header modules, directory,
default parameters, the notebook's variables that it uses, whether it runs in the kernel, and its collection."""

COLLECTION = "fused:collection"
"""Of the metadata: the collection in which it is saved. There it finds others by their names, so that it counts."""
DEFAULT_COLLECTION = "default"
"""The collection that is always there; also what is in none finds others in it."""

SIBLINGS = "fused:siblings"
"""Of the metadata: the folder or the address in which it finds others by their names, before all else; so it counts."""

KERNEL_ENGINE = "kernel"
"""Of all engines that a UDF may name the one that means another place than a worker of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderModule:
    """A module that the UDF imports by name and that travels with it."""

    module_name: str
    source: str

    @property
    def source_code(self) -> str:
        """The same, as Fused calls it."""
        return self.source

    @property
    def source_file(self) -> str:
        """What its file is called."""
        return f"{self.module_name}.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class UdfDefinition:
    """The code of a UDF with what is known of it without running it."""

    name: str
    """What it is called in URLs."""
    entrypoint: str
    """The function in `source`."""
    source: str
    """The cell as the editor shows it, so that line numbers are the reader's; or the function alone."""
    headers: tuple[HeaderModule, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    """The docstring."""
    cache_max_age: int | None = None
    """Seconds; None leaves it to the settings."""
    directory: str = ""
    """Where relative paths start: the notebook's working directory when the cell ran."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What is kept with it for others, as JSON; but for `COLLECTION` and `SIBLINGS` it changes nothing that the UDF
    gives."""
    default_parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """By parameter, the value where a call gives none, as JSON; `parameters` show them as their defaults."""
    placement: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Where it is to run: `engine`, `instance_type`, `disk_size_gb`, `region`. But for the engine `kernel` they mean
    something in Fused's cloud only."""
    uses: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Variables of the notebook that travel with it: by name, the SHA-256 of the value."""
    uses_from: str = field(default="", compare=False)
    """The directory of the files that hold these values, each called as its hash."""
    digest: SourceDigest = field(init=False)

    def __post_init__(self) -> None:
        headers = [(header.module_name, header.source) for header in self.headers]
        content: list[Any] = [self.name, self.entrypoint, self.source, headers, self.directory]
        content += [dict(self.default_parameters), dict(self.uses), self.runs_in_kernel]
        if (collection := self.metadata.get(COLLECTION, DEFAULT_COLLECTION)) != DEFAULT_COLLECTION:
            content.append(collection)
        if siblings := self.metadata.get(SIBLINGS):
            content.append({SIBLINGS: siblings})
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        object.__setattr__(self, "digest", SourceDigest(hashlib.sha256(text).hexdigest()))

    @property
    def runs_in_kernel(self) -> bool:
        """Whether it runs in the kernel and sees the notebook's variables, else in a worker."""
        return self.placement.get("engine") == KERNEL_ENGINE

    @property
    def spatial_parameter(self) -> Parameter | None:
        """The one that takes the tile."""
        return next((parameter for parameter in self.parameters if parameter.is_spatial), None)

    @property
    def signature(self) -> str:
        """``quakes(bounds: Bounds = None, min_mag: float = 4.0)``."""
        parts = [str(parameter) for parameter in self.parameters]
        keyword = next((i for i, parameter in enumerate(self.parameters) if parameter.kind == "keyword"), None)
        if keyword is not None:
            parts.insert(keyword, "*")
        return f"{self.name}({', '.join(parts)})"

    @property
    def filename(self) -> str:
        """What stands in tracebacks."""
        return f"<udf {self.name}>"

    def schema(self) -> dict[str, Any]:
        """The parameters as JSON Schema."""
        return schema_of(self.parameters)

    def to_json(self) -> dict[str, Any]:
        """All fields that `from_json` needs."""
        return {
            "name": self.name,
            "entrypoint": self.entrypoint,
            "source": self.source,
            "headers": [[header.module_name, header.source] for header in self.headers],
            # Defaults that JSON does not know are only for show; the function itself has the real ones.
            "parameters": [_jsonable(parameter) for parameter in self.parameters],
            "description": self.description,
            "cache_max_age": self.cache_max_age,
            "directory": self.directory,
            "metadata": dict(self.metadata),
            "default_parameters": dict(self.default_parameters),
            "placement": dict(self.placement),
            "uses": dict(self.uses),
            "uses_from": self.uses_from,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> UdfDefinition:
        """The definition that `to_json` wrote."""
        fields = dict(values)
        fields["headers"] = tuple(HeaderModule(module_name=name, source=source) for name, source in values["headers"])
        fields["parameters"] = tuple(Parameter(**parameter) for parameter in values["parameters"])
        return cls(**fields)


def _jsonable(parameter: Parameter) -> dict[str, Any]:
    fields = parameter.to_json()
    try:
        orjson.dumps(fields["default"])
    except TypeError:
        fields["default"] = None
    return fields
