from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from processes import still_running
from real_jupyter import eventually

from fused_jupyter.errors import HostLostError
from fused_jupyter.runtime._runtime import KernelRuntime
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Announcement, Client, Describe, Described, Message

Define = Callable[..., UdfDefinition]


@pytest.fixture
def runtime(options: Options) -> Iterator[KernelRuntime]:
    made = KernelRuntime(options)
    yield made
    made.close()


def announced(runtime: KernelRuntime) -> int:
    """Process of the host that servers find."""
    return Announcement.read(Announcement.path_for(runtime.directory, runtime.kernel_id)).pid


def has_another_host(runtime: KernelRuntime, before: int) -> bool:
    with contextlib.suppress(HostLostError):
        return runtime.link.pid not in {None, before} and announced(runtime) == runtime.link.pid
    return False


def test_a_host_that_dies_is_replaced_without_a_call(runtime: KernelRuntime, definition: Define) -> None:
    """Maps ask the server, not the notebook: they would wait for ever."""
    runtime.register(definition("def f(): return 1"))
    runtime.start()
    runtime.status()
    host = psutil.Process(runtime.link.pid)

    host.kill()

    eventually(lambda: has_another_host(runtime, host.pid))
    assert not still_running([host])
    assert runtime.run(definition("def f(): return 2"), {}, tile=None, cache_max_age=None) == 2


def test_hosts_that_die_young_are_replaced_more_and_more_slowly(runtime: KernelRuntime) -> None:
    """A machine without memory is not kept busy with starting hosts."""
    runtime.start()
    runtime.status()
    pauses = [runtime.link._pause]
    for _ in range(3):
        host = psutil.Process(runtime.link.pid)
        host.kill()
        eventually(lambda host=host: has_another_host(runtime, host.pid))
        runtime.status()
        pauses.append(runtime.link._pause)

    assert pauses == [pauses[0] * 2**deaths for deaths in range(4)]


def test_a_closed_runtime_gets_no_other_host(runtime: KernelRuntime) -> None:
    """Its host ends because it shall."""
    runtime.start()
    runtime.status()
    before = hosts()

    runtime.close()
    time.sleep(0.3)

    assert not still_running(hosts() | before)


def test_a_call_that_is_stopped_while_the_host_starts_stops_no_start(
    runtime: KernelRuntime, definition: Define
) -> None:
    """Ctrl-C in the first cell: the host is told everything all the same, and there is no second one."""
    begun = threading.Event()

    async def be_slow(_: Client) -> None:
        begun.set()
        await asyncio.sleep(0.3)

    runtime.link.on_start.insert(0, be_slow)
    runtime.register(definition("def known(): return 1"))
    before = hosts()
    call = runtime.link._submit(runtime.link._connected())
    assert begun.wait(10)

    call.cancel()

    described, _ = runtime.link._submit(describe(runtime)).result()
    assert isinstance(described, Described)
    assert [udf["name"] for udf in described.udfs] == ["known"]
    assert len(hosts() - before) == 1


async def describe(runtime: KernelRuntime) -> tuple[Message, bytes]:
    client = await runtime.link._connected()
    return await client.call(Describe(id=client.next_number()))


def hosts() -> set[psutil.Process]:
    """The hosts of this process."""
    children = psutil.Process().children()
    return {child for child in children if "fused_jupyter.runtime.host" in child.cmdline()}
