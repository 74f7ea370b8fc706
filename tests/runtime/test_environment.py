from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition

Define = Callable[..., UdfDefinition]
Seen = Callable[[str], Any]

PRELOAD = ("numpy", "fused_jupyter.formats", "fused_jupyter.engines.worker", "fused_jupyter.api")
SECRETS = ("JUPYTER_TOKEN", "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "JPY_COOKIE_SECRET")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelRuntime]:
    """A kernel's runtime with its host; the environment holds secrets when it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SECRETS:
            patch.setenv(name, "the-servers-own")
        directory = tmp_path_factory.mktemp("home")
        made = KernelRuntime(
            Options(
                workers=2,
                preload=PRELOAD,
                learn_preload=False,
                cache_directory=str(directory / "cache"),
                env_file=str(directory / "variables"),
            )
        )
        made.start()
        yield made
        made.close()


@pytest.fixture
def seen(runtime: KernelRuntime, definition: Define) -> Iterator[Seen]:
    """What a UDF sees of a variable."""
    udf = definition("import os\ndef seen(name: str): return os.environ.get(name)")
    yield lambda name: runtime.run(udf, {"name": name}, tile=None, cache_max_age=None)
    runtime.choose_environment(dict.fromkeys(runtime.environment))


def test_choice_counts_from_the_next_run_on(runtime: KernelRuntime, seen: Seen) -> None:
    """Also in the worker that the kernel has on lease from the run before."""
    answers = [seen("CHOSEN")]
    for value in ("one", "two", None):
        runtime.choose_environment({"CHOSEN": value})
        answers.append(seen("CHOSEN"))

    assert answers == [None, "one", "two", None]


def test_choice_survives_the_host(runtime: KernelRuntime, seen: Seen) -> None:
    """It is handed to the next one, before any run."""
    runtime.choose_environment({"CHOSEN": "one"})
    host = runtime.link.pid
    assert host is not None

    os.kill(host, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(host)] if psutil.pid_exists(host) else [], timeout=2)

    assert _patiently(lambda: seen("CHOSEN")) == "one"
    assert runtime.link.pid != host


def test_refused_choice_changes_nothing(runtime: KernelRuntime, seen: Seen) -> None:
    """Neither here nor in the host."""
    runtime.choose_environment({"CHOSEN": "one"})

    with pytest.raises(ArgumentError):
        runtime.choose_environment({"CHOSEN": "two", "JUPYTER_TOKEN": "x"})

    assert runtime.environment == {"CHOSEN": "one"}
    assert seen("CHOSEN") == "one"


def test_file_counts_within_a_moment_for_leased_workers(runtime: KernelRuntime, seen: Seen) -> None:
    """The host looks on while the kernel talks to the worker itself."""
    file = Path(runtime.options.env_file)
    assert seen("OF_THE_FILE") is None

    file.write_text("OF_THE_FILE=1\n")
    deadline = time.monotonic() + 5
    while seen("OF_THE_FILE") is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    file.unlink()


def test_no_process_has_a_secret(runtime: KernelRuntime, seen: Seen) -> None:
    """Host, template and workers, as the system knows their environments; UDFs could read them there."""
    assert seen("PATH")
    assert all(seen(name) is None for name in SECRETS)

    host = psutil.Process(runtime.link.pid)
    environments = [each.environ() for each in (host, *host.children(recursive=True))]

    assert len(environments) >= 3
    for environment in environments:
        assert environment["PATH"]
        assert "the-servers-own" not in environment.values()


def _patiently(ask: Callable[[], Any]) -> Any:
    """The answer, once the kernel has noticed that its host died."""
    from fused_jupyter.errors import HostLostError

    deadline = time.monotonic() + 10
    while True:
        try:
            return ask()
        except HostLostError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
