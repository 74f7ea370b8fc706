"""Tokens of all kinds, for UDFs of a kernel and for saved ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter.storage import Library
from fused_jupyter.udfs import parse
from fused_jupyter.wire import Limits

SECRET = "/home/ana/secret.csv"

REPORT = f"""
@fused.udf
def report(how: str = "", n: int = 1, bounds: list = None, **more):
    print("printed", {SECRET!r})
    if how == "raise":
        raise FileNotFoundError({SECRET!r})
    if how == "die":
        import os
        os._exit(1)
    return {{"n": n, "more": sorted(more)}}
"""

PICTURE = """
@fused.udf
def picture(bounds: fused.types.Bounds = None, shade: int = 100):
    import numpy as np
    return np.full((3, 256, 256), shade, dtype="uint8")
"""

OTHER = """
@fused.udf
def other():
    return "other"
"""

Grant = Callable[..., str]


@pytest.fixture(scope="session")
def library(server: JupyterServer) -> Library:
    """What is saved for `server`: `report`, `picture` and `other` in the collection `shared`, `private` beside it."""
    library = Library(Path(server.environment["FUSED_DATA_DIRECTORY"]))
    for source in (REPORT, PICTURE, OTHER):
        library.save(parse(source), collection="shared", create_collection=True)
    library.save(parse("@fused.udf\ndef private():\n    return 1\n"), collection="own", create_collection=True)
    return library


@pytest.fixture(scope="session")
def grant(library: Library) -> Grant:
    """Make a token for a saved UDF, or for the whole collection where none is named."""

    def make(udf: str = "", **limits: object) -> str:
        chosen = Limits(**limits)  # type: ignore[arg-type]  # of each its own kind
        if not udf:
            return library.create_token(collection="shared", limits=chosen)[0]
        return library.create_token(udf_id=library.find(udf, collection="shared").id, limits=chosen)[0]

    return make


@pytest.fixture(scope="session")
def live_kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel of `server` with the same UDFs."""
    with server.running_kernel() as kernel:
        for source in (REPORT, PICTURE, OTHER):
            kernel.define(source)
        kernel.execute("from fused_jupyter.runtime import current\nfrom fused_jupyter.wire import Limits").check()
        yield kernel


@pytest.fixture(scope="session")
def live(live_kernel: Kernel) -> Grant:
    """Make a token for a UDF of that kernel."""

    def make(udf: str, **limits: object) -> str:
        return live_kernel.execute(f"print(current().grant({udf!r}, Limits(**{limits!r})))").check().text.strip()

    return make


@pytest.fixture(scope="session")
def tokens(grant: Grant, live: Grant) -> dict[str, dict[str, str]]:
    """For each UDF, what stands before the rest of an address, by the kind of token."""
    collection = grant()
    return {
        udf: {"live": live(udf), "saved": grant(udf), "collection": f"{collection}/{udf}"}
        for udf in ("report", "picture")
    }


@pytest.fixture
def open_(server: JupyterServer) -> Callable[..., Answer]:
    """Any request by somebody without a login."""

    def ask(address: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        return server.request(method, address, headers=headers, body=body, login=False)

    return ask
