from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fused_jupyter.errors import UdfMemoryError
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the system does not tell")

HOARD = """
import time
def hoard(size: int):
    held = []
    for _ in range(10):
        held.append(b"x" * (size // 10))
        time.sleep(0.3)
    return len(held)
"""


@pytest.mark.parametrize("age", [None, "1h"])
def test_call_of_the_notebook_that_takes_too_much_is_told(
    tmp_path: Path, definition: Callable[..., UdfDefinition], age: str | None
) -> None:
    """Whether it goes straight to a worker on lease or through the host; the next call works."""
    options = Options(
        workers=1,
        preload=("fused_jupyter.engines.worker", "fused_jupyter.api"),
        learn_preload=False,
        memory_limit=200_000_000,
        cache_directory=str(tmp_path),
    )
    runtime = KernelRuntime(options)
    udf = definition(HOARD)
    try:
        with pytest.raises(UdfMemoryError, match=r"a call may take 200 MB \(FUSED_MEMORY_LIMIT\)") as caught:
            runtime.run(udf, {"size": 1_000_000_000}, tile=None, cache_max_age=age)
        after = runtime.run(udf, {"size": 1000}, tile=None, cache_max_age=age)
    finally:
        runtime.close()

    assert caught.value.line in {6, 7}
    assert caught.value.peak_memory > 200_000_000
    assert after == 10
