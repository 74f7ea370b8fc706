from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter import errors
from fused_jupyter.errors import FusedError
from fused_jupyter.wire import Reply
from fused_jupyter.wire.http.metadata import HEADER, metadata_of_error, metadata_of_result

Ask = Callable[..., Answer]

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FusedError)]
OF_RUNS = {"UdfRuntimeError", "WorkerLostError", "UdfSerializationError", "UdfTimeoutError"}


def told(headers: object) -> dict[str, object]:
    metadata: dict[str, object] = json.loads(headers[HEADER])  # type: ignore[index]
    return metadata


@given(st.text(max_size=100), st.text(max_size=100))
def test_what_a_udf_prints_fits_into_a_header(stdout: str, stderr: str) -> None:
    """As JSON in ASCII, whatever it is."""
    header = metadata_of_result(Reply(id=1, stdout=stdout, stderr=stderr))

    expected = {name: text for name, text in {"stdout": stdout, "stderr": stderr}.items() if text}
    assert (told(header) if header else {}) == expected
    assert all(text.isascii() and text.isprintable() for text in header.values())


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_runs_say_what_the_client_of_fused_needs(kind: type[FusedError]) -> None:
    """All others are JSON only: no UDF was running."""
    error = kind("went wrong", line=3, child_exception_class="KeyError")
    error.stdout = "printed"

    header = metadata_of_error(error)

    assert bool(header) is (kind.__name__ in OF_RUNS)
    if header:
        expected = {"has_exception": True, "exception_class": "KeyError", "lineno": 3, "errormsg": "went wrong"}
        assert expected.items() <= told(header).items()
        assert told(header)["stdout"] == "printed"


def test_no_header_is_too_long_for_a_client() -> None:
    """aiohttp gives up at 12 000 bytes: output goes before the error does."""
    error = errors.UdfRuntimeError("ö" * 100_000, line=3)
    error.stdout = error.stderr = "ö" * 100_000

    header = metadata_of_error(error)

    assert len(header[HEADER]) < 11_000
    assert told(header)["lineno"] == 3
    assert metadata_of_result(Reply(id=1, stdout="x" * 20_000)) == {}


@pytest.mark.usefixtures("kernel")
def test_the_owner_sees_what_a_udf_printed(kernel: Kernel, ask: Ask, server: JupyterServer) -> None:
    """Of a result, also of one that was kept, and of an error; who has a token does not."""
    kernel.define("def talks(n: int = 1):\n    print('hello', n)\n    return 1 / n")
    code = "from fused_jupyter.runtime import current; print(current().grant('talks'))"
    token = kernel.execute(code).check().text.strip()

    for address in ("fused/run/file/talks", "fused/run/file/talks"):
        assert told(ask(address).headers) == {"stdout": "hello 1\n"}
    failed = ask("fused/run/file/talks?n=0").headers
    assert told(failed)["stdout"] == "hello 0\n"
    assert told(failed)["exception_class"] == "ZeroDivisionError"
    for n in (1, 0):
        assert HEADER not in server.get(f"fused/{token}/run/tiles/0/0/0.json?n={n}", login=False).headers
