from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.runtime import shut_down


@pytest.fixture(autouse=True, scope="module")
def _runtime() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSED_PRELOAD", "numpy,fused_jupyter.formats,fused_jupyter.engines.worker,fused_jupyter.api")
        patch.setenv("FUSED_WORKERS", "2")
        patch.delenv("JPY_PARENT_PID", raising=False)
        shut_down()
        yield
        shut_down()


def test_call_from_python_has_no_request() -> None:
    """But it knows all else of itself."""

    @fused.udf
    def tell() -> dict[str, Any]:
        import fused

        return {
            "headers": fused.context.get_headers(),
            "header": fused.context.get_header("User-Agent"),
            "share": fused.context.get_share_token(),
            "session": fused.context.get_session_token(),
            "environment": fused.context.get_execution_environment_id(),
            "depth": fused.context.get_recursion_factor(),
            "realtime": fused.context.in_realtime(),
            "batch": fused.context.in_batch(),
            "client": fused.context.get_realtime_client_id(),
            "email": fused.context.get_user_email(),
            "udf": fused.context.this_udf().name,
        }

    assert fused.run(tell) == {
        "headers": {},
        "header": None,
        "share": None,
        "session": None,
        "environment": None,
        "depth": 0,
        "realtime": True,
        "batch": False,
        "client": "local",
        "email": fused.api.whoami()["email"],
        "udf": "tell",
    }


def test_depth_and_udf_are_those_of_the_innermost() -> None:
    """Also in a thread that it started, and again those of the outer one afterwards."""

    @fused.udf
    def outer() -> list[tuple[int, str]]:
        from concurrent.futures import ThreadPoolExecutor

        import fused

        def here() -> tuple[int, str]:
            return fused.context.get_recursion_factor(), fused.context.this_udf().name

        @fused.udf
        def inner() -> list[tuple[int, str]]:
            from concurrent.futures import ThreadPoolExecutor

            import fused

            def here() -> tuple[int, str]:
                return fused.context.get_recursion_factor(), fused.context.this_udf().name

            with ThreadPoolExecutor() as pool:
                return [here(), pool.submit(here).result()]

        with ThreadPoolExecutor() as pool:
            return [here(), *fused.run(inner), pool.submit(here).result()]

    assert fused.run(outer) == [(0, "outer"), (1, "inner"), (1, "inner"), (0, "outer")]


def test_udf_can_run_itself() -> None:
    """It is a UDF as others, so it ends where its author ends it."""

    @fused.udf
    def count(n: int) -> int:
        import fused

        this = fused.context.this_udf()
        return 1 + fused.run(this, n=n - 1) if n else 0  # type: ignore[no-any-return]  # Any

    assert fused.run(count, n=3) == 3


def test_run_in_the_kernel_is_not_realtime() -> None:
    """It knows its UDF all the same."""

    @fused.udf(engine="kernel")
    def tell() -> tuple[bool, str]:
        import fused_jupyter as fused

        return fused.context.in_realtime(), fused.context.this_udf().name

    assert fused.run(tell) == (False, "tell")


def test_notebook_is_no_run() -> None:
    """There is no UDF, no request, no depth."""
    assert fused.context.get_headers() == {}
    assert fused.context.get_recursion_factor() == 0
    assert not fused.context.in_realtime()
    with pytest.raises(ValueError, match="no UDF runs here"):
        fused.context.this_udf()
