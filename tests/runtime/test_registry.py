from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from fused_jupyter.errors import UnknownUdfError
from fused_jupyter.runtime.registry import Registry
from fused_jupyter.udfs import UdfDefinition

Define = Callable[..., UdfDefinition]


def test_name_means_the_newest(definition: Define) -> None:
    """Running a cell again replaces what it registered."""
    registry = Registry()
    old, new = definition("def f(): return 1"), definition("def f(): return 2")

    registry.register(old)
    registry.register(new)

    assert registry.get("f") is new
    assert registry.all() == (new,)


def test_unknown_name_gives_the_nearest(definition: Define) -> None:
    """Or what there is, or what to do."""
    registry = Registry()
    with pytest.raises(UnknownUdfError, match="none is registered; run a %%fused_udf cell"):
        registry.get("quakes")
    registry.register(definition("def quakes(): pass"))

    with pytest.raises(UnknownUdfError, match=r"did you mean quakes\?") as caught:
        registry.get("quaks")
    with pytest.raises(UnknownUdfError, match="there are quakes"):
        registry.get("buildings")
    assert caught.value.udf == "quaks"


def test_listeners_hear_of_each_registration(definition: Define) -> None:
    """Until they unsubscribe, which may be twice."""
    registry, heard = Registry(), []
    unsubscribe = registry.subscribe(heard.append)
    first, second = definition("def f(): return 1"), definition("def f(): return 2")

    registry.register(first)
    unsubscribe()
    unsubscribe()
    registry.register(second)

    assert heard == [first]


def test_listener_that_raises_stops_nobody(definition: Define, caplog: pytest.LogCaptureFixture) -> None:
    """A map that is being closed; the others hear, the cell goes on, the log knows."""
    registry, heard = Registry(), []
    registry.subscribe(lambda _: 1 / 0)
    registry.subscribe(heard.append)

    with caplog.at_level(logging.ERROR):
        registry.register(definition("def f(): pass"))

    assert len(heard) == 1
    assert "ZeroDivisionError" in caplog.text


def test_listener_may_unsubscribe_or_register_while_it_hears(definition: Define) -> None:
    """It is called without the lock, on a copy of the list."""
    registry, heard = Registry(), []

    def once(udf: UdfDefinition) -> None:
        unsubscribe()
        heard.append(udf.name)
        registry.register(definition("def g(): pass"))

    unsubscribe = registry.subscribe(once)
    registry.register(definition("def f(): pass"))

    assert heard == ["f"]
    assert {udf.name for udf in registry.all()} == {"f", "g"}


def test_registry_is_safe_in_many_threads(definition: Define) -> None:
    """Widgets answer on threads of their own."""
    registry, heard = Registry(), []
    udfs = [definition(f"def f{n % 7}(): return {n}") for n in range(70)]

    def work(mine: list[UdfDefinition]) -> None:
        for udf in mine:
            unsubscribe = registry.subscribe(heard.append)
            registry.register(udf)
            assert registry.get(udf.name).name == udf.name
            registry.all()
            unsubscribe()

    threads = [threading.Thread(target=work, args=(udfs[n::7],)) for n in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(registry.all()) == 7
    assert set(heard) == set(udfs) or {udf.digest for udf in heard} == {udf.digest for udf in udfs}
