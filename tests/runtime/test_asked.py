from __future__ import annotations

from collections.abc import Callable

import pytest

from fused_jupyter.runtime.asked import asks, seen, with_request
from fused_jupyter.runtime.keys import Keys
from fused_jupyter.udfs import HeaderModule, UdfDefinition
from fused_jupyter.wire import Run

Define = Callable[..., UdfDefinition]
READER = "def f(): return fused.context.get_headers()"
PLAIN = "def f(): return 1"
SHARE = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("source", "modules", "does"),
    [
        (PLAIN, (), False),
        (READER, (), True),
        ("def f():\n    from fused import (\n        context,\n    )\n    return context.get_header('a')", (), True),
        (PLAIN, ("import fused.context",), True),
        ("def f(): return contextlib", (), False),
    ],
)
def test_udf_that_names_the_context_asks(source: str, modules: tuple[str, ...], does: bool, definition: Define) -> None:
    """In its own code, or in that of a header module."""
    headers = tuple(HeaderModule(module_name=f"m{number}", source=text) for number, text in enumerate(modules))

    assert asks(definition(source, headers=headers)) is does


def test_udf_that_asks_for_nothing_gets_nothing(definition: Define) -> None:
    """So that all clients share its results."""
    plain, keys = definition(PLAIN), Keys()
    runs = [
        Run(id=1, parameters={}, headers=headers, share=SHARE) for headers in ({"user-agent": "a"}, {"x": "y"}, None)
    ]

    assert [seen(plain, with_request(plain, run)) for run in runs] == [None] * 3
    assert len({keys.of(plain, with_request(plain, run)) for run in runs}) == 1


def test_token_is_told_by_its_public_id(definition: Define) -> None:
    """Of a collection with the name of the UDF; nobody else can say it."""
    reader = definition(READER)
    lie = {"fused-share-token": "fsh_secret", "user-agent": "a"}

    def told(**fields: str) -> dict[str, str]:
        return dict(with_request(reader, Run(id=1, headers=lie, **fields)).headers or {})  # type: ignore[arg-type]  # texts

    assert told(share=SHARE) == {"user-agent": "a", "fused-share-token": "fsh_0123456789ab"}
    assert told(share=SHARE, udf="f")["fused-share-token"] == "fc_0123456789ab/f"
    assert told() == {"user-agent": "a"}


def test_results_are_kept_for_each_request_apart(definition: Define) -> None:
    """Where the UDF sees it; the order of headers says nothing."""
    reader, keys = definition(READER), Keys()

    def key(**headers: str) -> str:
        return keys.of(reader, with_request(reader, Run(id=1, parameters={}, headers=headers)))

    assert key(a="1", b="2") == key(b="2", a="1")
    assert len({key(), key(a="1"), key(a="2"), key(b="1")}) == 4
