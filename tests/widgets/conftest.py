"""A registry to play with, in place of the runtime's, and a page with maps in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from ipywidgets import Widget
from map_page import MapPage, Site, map_pages, serving
from playwright.sync_api import Browser
from real_lab import chromium

from fused_jupyter.errors import UnknownUdfError


@dataclass(frozen=True, kw_only=True)
class FakeParameter:
    name: str
    annotation: str = ""
    has_default: bool = True
    default: Any = None
    default_text: str = ""
    classes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    kind: str = "positional"
    is_spatial: bool = False


@dataclass(frozen=True, kw_only=True)
class FakeDefinition:
    name: str
    digest: str = "1"
    parameters: tuple[FakeParameter, ...] = ()


class FakeRegistry:
    """Small and real: names, definitions, listeners."""

    def __init__(self) -> None:
        self.definitions: dict[str, FakeDefinition] = {}
        self.listeners: list[Callable[[FakeDefinition], None]] = []

    def get(self, name: str) -> FakeDefinition:
        if name not in self.definitions:
            raise UnknownUdfError(f"no UDF is called {name!r}", udf=name)
        return self.definitions[name]

    def subscribe(self, callback: Callable[[FakeDefinition], None]) -> Callable[[], None]:
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)

    def register(self, name: str, *parameters: FakeParameter, digest: str = "1") -> None:
        definition = FakeDefinition(name=name, digest=digest, parameters=parameters)
        self.definitions[name] = definition
        for listener in [*self.listeners]:
            listener(definition)


@dataclass(frozen=True)
class FakeRuntime:
    kernel_id: str
    registry: FakeRegistry

    def start(self) -> None:
        """Nothing runs here."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    """The registry of a runtime with kernel id `kernel-1`, with the UDF `quakes(bounds, min_mag=4.0)`."""
    registry = FakeRegistry()
    runtime = FakeRuntime("kernel-1", registry)
    monkeypatch.setattr("fused_jupyter.runtime.current", lambda: runtime, raising=False)
    registry.register(
        "quakes",
        FakeParameter(name="bounds", annotation="fused.types.Bounds", is_spatial=True),
        FakeParameter(name="min_mag", annotation="float", default=4.0),
    )
    return registry


@pytest.fixture
def parameter() -> type[FakeParameter]:
    """Makes a parameter of a UDF."""
    return FakeParameter


@pytest.fixture(autouse=True)
def _close_widgets() -> Iterator[None]:
    yield
    Widget.close_all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module, as its event loop must not run when other tests start theirs."""
    with chromium() as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    """What stands in for the Jupyter server."""
    with serving(Site()) as running:
        yield running


@pytest.fixture
def map_page(browser: Browser, site: Site) -> Iterator[MapPage]:
    """A page on which `show` puts maps."""
    with map_pages(browser, site) as page:
        yield page
