from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter.engines.memory import PeakMemory, resident_memory
from fused_jupyter.errors import UdfRuntimeError

if TYPE_CHECKING:
    from conftest import Workshop

MB = 1_000_000
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak can be reset on Linux only")

TAKES = "def f(size: int):\n    return len(b'x' * size)"


@linux_only
@pytest.mark.parametrize("returns", ["object", "encoded"])
def test_each_run_has_its_own_peak(workshop: Workshop, returns: Any) -> None:
    """Also where an earlier one in the same process needed more; what is free again at the end counts."""

    def peak(size: int) -> int:
        answer, _ = workshop.wait(
            workshop.send(TAKES, parameters={"size": size}, returns=returns, extension="json"),
        )
        taken: int = answer.peak_memory
        return taken

    peak(0)
    for size in (300 * MB, 0, 100 * MB):
        assert size - MB <= peak(size) < size + 30 * MB


@linux_only
def test_run_that_fails_has_a_peak(workshop: Workshop) -> None:
    """Where memory ran out it is what one wants to know."""
    with pytest.raises(UdfRuntimeError) as caught:
        workshop.run("def f():\n    held = b'x' * 200_000_000\n    raise MemoryError")

    assert 199 * MB <= caught.value.peak_memory < 230 * MB


def test_where_the_peak_cannot_be_reset_growth_beyond_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that needs less than one before it seems to need nothing."""
    real = os.open

    def closed(path: Any, *args: Any) -> int:
        if "clear_refs" in str(path):
            raise PermissionError
        return real(path, *args)

    PeakMemory()
    monkeypatch.setattr(os, "open", closed)
    more, size = PeakMemory(), 150 * MB
    del [bytearray(size)][0]
    less = PeakMemory()
    del [bytearray(size // 2)][0]

    assert size - MB <= more.growth < size + 30 * MB
    assert less.growth < 30 * MB


@linux_only
def test_resident_memory_is_what_the_system_says() -> None:
    """`ps` and the like read the same number."""
    psutil = pytest.importorskip("psutil")

    assert resident_memory() == pytest.approx(psutil.Process().memory_info().rss, rel=0.02)
