from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx

from fused_jupyter.caching import ResultCache
from fused_jupyter.errors import (
    ArgumentError,
    ShareError,
    TileError,
    UdfRuntimeError,
    UdfSerializationError,
    UnknownUdfError,
    WorkerLostError,
)
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.settings import Options
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Failure, Limits, Reply, Run

Define = Callable[..., UdfDefinition]


@dataclass
class CountingEngine:
    """Answers with the number of the run, when the test lets it."""

    runs: list[tuple[str, Run]] = field(default_factory=list)
    cancelled: int = 0
    answer: Callable[[Run, int], tuple[Reply | Failure, bytes]] = lambda run, n: (
        Reply(id=run.id, media_type="text/plain", stdout="printed", buffers=(1, 2)),
        b"run %d" % n,
    )
    gate: asyncio.Event | None = None
    stopping: float = 0.0
    """Seconds that it takes to stop."""

    async def run(
        self, definition: UdfDefinition, run: Run, body: bytes = b"", *, on_text: Any = None
    ) -> tuple[Reply | Failure, bytes]:
        self.runs.append((definition.digest, run))
        number = len(self.runs)
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(self.stopping)
            raise
        return self.answer(run, number)


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def gateway(engine: CountingEngine, options: Options, definition: Define) -> Gateway:
    """With two UDFs, `f` and `g`."""
    results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
    made = Gateway(engine, results, options, kernel_id="kernel-1")
    made.publish(definition("def f(bounds=None, n=1): pass"), register=True)
    made.publish(definition("def g(): pass"), register=True)
    return made


@pytest.fixture(autouse=True)
def _no_blocking() -> Iterator[None]:
    with blockbuster_ctx():
        yield


def ask(name: str = "f", number: int = 1, **fields: Any) -> Run:
    return Run(id=number, udf=name, **{"parameters": {}} | fields)


def wait(main: Callable[[], Awaitable[Any]]) -> Any:
    async def timed() -> Any:
        async with asyncio.timeout(10):
            return await main()

    return asyncio.run(timed())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.005)


# -- which code runs


def test_name_means_what_was_registered_last(gateway: Gateway, engine: CountingEngine, definition: Define) -> None:
    """The next request runs the edited cell; an URL that pins the old version gets that."""
    new = definition("def f(): return 2")

    async def main() -> list[str]:
        old, _ = await gateway.run(ask())
        gateway.publish(new, register=True)
        replies = [old, (await gateway.run(ask()))[0], (await gateway.run(ask(digest=old.digest, format="json")))[0]]
        return [reply.digest for reply in replies]

    first, second, pinned = wait(main)

    assert second == new.digest
    assert first == pinned != second
    assert [digest for digest, _ in engine.runs] == [first, second, pinned]


def test_unknown_version_is_the_newest(gateway: Gateway) -> None:
    """A map of before the restart shows what there is now."""
    reply, _ = wait(lambda: gateway.run(ask(digest="0" * 64)))

    assert reply.digest == gateway.summaries()[0]["digest"]


def test_unregistered_version_runs_by_digest_only(gateway: Gateway, definition: Define) -> None:
    """`fused.run` of an old object does not change what the name means."""
    other = definition("def f(): return 3")
    gateway.publish(other, register=False)

    assert wait(lambda: gateway.run(ask()))[0].digest != other.digest
    assert wait(lambda: gateway.run(ask(digest=other.digest)))[0].digest == other.digest


def test_digest_of_another_name_does_not_count(gateway: Gateway) -> None:
    """The name in the URL is what may be run."""
    digest = gateway.summaries()[1]["digest"]

    assert wait(lambda: gateway.run(ask("f", digest=digest)))[0].digest == gateway.summaries()[0]["digest"]


def test_unknown_name_runs_nothing(gateway: Gateway, engine: CountingEngine) -> None:
    """And says which names there are."""
    with pytest.raises(UnknownUdfError, match="there are f, g"):
        wait(lambda: gateway.run(ask("quakes")))

    assert engine.runs == []


@pytest.mark.parametrize(
    ("fields", "error"), [({"tile": (3, 8, 0)}, TileError), ({"cache_max_age": "2w"}, ArgumentError)]
)
def test_bad_request_runs_nothing(gateway: Gateway, engine: CountingEngine, fields: Any, error: Any) -> None:
    """It costs no worker."""
    with pytest.raises(error):
        wait(lambda: gateway.run(ask(**fields)))

    assert engine.runs == []


def test_summaries_hold_no_code(gateway: Gateway) -> None:
    """Others learn names, parameters and versions."""
    summary = gateway.summaries()[0]

    assert (summary["name"], summary["spatial"]) == ("f", "bounds")
    assert [(each["name"], each["kind"]) for each in summary["controls"]] == [("n", "slider")]
    assert summary["schema"]["properties"]["n"] == {"default": 1}
    assert summary["registered_at"] == pytest.approx(time.time(), abs=10)
    assert "source" not in summary


# -- shares


def share(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_token_opens_its_udf_only(gateway: Gateway) -> None:
    """Whatever name or version the caller asks for."""
    gateway.shares.grant(share("token"), "f", Limits())
    other = gateway.summaries()[1]["digest"]

    for run in (
        ask("", share=share("token")),
        ask("g", share=share("token")),
        ask("", share=share("token"), digest=other),
    ):
        reply, _ = wait(lambda run=run: gateway.run(run))
        assert reply.digest == gateway.summaries()[0]["digest"]


def test_wrong_and_revoked_tokens_open_nothing(gateway: Gateway, engine: CountingEngine) -> None:
    """They are not told apart, and a valid name beside them does not help."""
    gateway.shares.grant(share("token"), "f", Limits())
    gateway.shares.revoke(share("token"))
    gateway.shares.revoke(share("never there"))

    for wrong in (share("token"), share("other"), "token", ""):
        with pytest.raises(ShareError, match="opens nothing"):
            wait(lambda wrong=wrong: gateway.run(ask("f", share=wrong)))
    assert engine.runs == []
    assert gateway.shares.live == ()


# -- the cache


def test_same_request_is_answered_from_the_cache(gateway: Gateway, engine: CountingEngine) -> None:
    """Body, type and what was printed are those of the run."""

    async def main() -> Any:
        return [await gateway.run(ask(number=n)) for n in (1, 2)]

    (first, body), (second, again) = wait(main)

    assert len(engine.runs) == 1
    assert body == again == b"run 1"
    assert (first.cached, second.cached) == (False, True)
    assert second.max_age in range(first.max_age - 2, first.max_age + 1)
    assert (first.source, second.source) == ("miss", "hit-memory")
    same = {"cached": False, "id": 1, "max_age": first.max_age, "source": "miss", "queue_seconds": first.queue_seconds}
    assert replace(second, **same) == first
    assert gateway.counts["cached"] == 1


def test_result_survives_a_restart_of_the_host(gateway: Gateway, options: Options, definition: Define) -> None:
    """It lies on disk, under the same key."""
    wait(lambda: _finish(gateway, ask()))
    engine = CountingEngine()
    again = Gateway(
        engine, ResultCache(Path(options.cache_directory), memory_size=0, disk_size=1000), options, kernel_id="kernel-2"
    )
    again.publish(definition("def f(bounds=None, n=1): pass"), register=True)

    reply, body = wait(lambda: again.run(ask()))

    assert (reply.cached, reply.kernel, body, engine.runs) == (True, "kernel-2", b"run 1", [])


async def _finish(gateway: Gateway, run: Run) -> Any:
    answer = await gateway.run(run)
    await gateway.close()
    return answer


DIFFERENT: list[dict[str, Any]] = [
    {},
    {"parameters": {"n": "2"}},
    {"parameters": {"n": 2}},
    {"parameters": {"m": "2"}},
    {"parameters": None, "arguments_digest": "of some"},
    {"parameters": None, "arguments_digest": "of others"},
    {"tile": (1, 0, 0)},
    {"tile": (1, 0, 1)},
    {"format": "json"},
    {"extension": "json"},
    {"dtype_out_raster": "png"},
    {"dtype_out_vector": "png"},
    {"returns": "object", "cache_max_age": "1h"},
    {"name": "g"},
]


def test_different_requests_have_different_results(gateway: Gateway, engine: CountingEngine) -> None:
    """Arguments, tile, format and what is returned are all part of the key."""

    async def main() -> list[bytes]:
        return [(await gateway.run(ask(**fields)))[1] for fields in (*DIFFERENT, *DIFFERENT)]

    bodies = wait(main)

    assert len(engine.runs) == len(DIFFERENT)
    assert bodies[: len(DIFFERENT)] == bodies[len(DIFFERENT) :]
    assert len(set(bodies)) == len(DIFFERENT)


def test_arguments_that_nobody_can_tell_apart_are_not_cached(gateway: Gateway, engine: CountingEngine) -> None:
    """The kernel could not read what it pickled."""

    async def main() -> Any:
        return [
            (await gateway.run(ask(parameters=None, returns="object", cache_max_age="1h"), b"same bytes"))[0]
            for _ in range(2)
        ]

    assert [(reply.cached, reply.max_age) for reply in wait(main)] == [(False, 0)] * 2
    assert len(engine.runs) == 2


def test_order_of_arguments_does_not_matter(gateway: Gateway, engine: CountingEngine) -> None:
    """A query may have them in any order."""
    wait(lambda: _finish(gateway, ask(parameters={"a": "1", "b": "2"})))
    wait(lambda: _finish(gateway, ask(parameters={"b": "2", "a": "1"})))

    assert len(engine.runs) == 1


def test_another_directory_is_another_result(gateway: Gateway, engine: CountingEngine, definition: Define) -> None:
    """Relative paths lead elsewhere there."""

    async def main() -> None:
        for directory in ("/here", "/there", "/there"):
            gateway.publish(definition("def f(): pass", directory=directory), register=True)
            await gateway.run(ask())

    wait(main)
    assert len(engine.runs) == 2


@pytest.mark.parametrize("max_age", ["0", "0s"])
def test_age_of_nothing_runs_each_time(gateway: Gateway, engine: CountingEngine, max_age: str) -> None:
    """And promises nothing to caches on the way."""

    async def main() -> Any:
        return [await gateway.run(ask(cache_max_age=max_age)) for _ in range(2)]

    replies = wait(main)

    assert len(engine.runs) == 2
    assert [(reply.etag, reply.max_age, reply.cached) for reply, _ in replies] == [("", 0, False)] * 2


def test_callers_age_wins_over_the_udfs_over_the_settings(gateway: Gateway, definition: Define) -> None:
    """The settings say 90 days."""
    gateway.publish(definition("def h(): pass", cache_max_age="1h"), register=True)

    ages = [
        wait(lambda run=run: gateway.run(run))[0].max_age
        for run in (ask("h", cache_max_age="10s"), ask("h", format="json"), ask("f"))
    ]

    assert ages == [10, pytest.approx(3600, abs=2), 90 * 86400]


def test_python_call_is_cached_only_if_somebody_says_so(
    gateway: Gateway, engine: CountingEngine, definition: Define
) -> None:
    """`fused.run` runs; the decorator or the caller may say otherwise."""
    gateway.publish(definition("def h(): pass", cache_max_age="1h"), register=True)

    async def runs(run: Run) -> int:
        before = len(engine.runs)
        for _ in range(2):
            await gateway.run(run)
        return len(engine.runs) - before

    assert wait(lambda: runs(ask("f", returns="object"))) == 2
    assert wait(lambda: runs(ask("f", returns="object", cache_max_age="1h"))) == 1
    assert wait(lambda: runs(ask("h", returns="object"))) == 1


def test_result_that_is_too_old_is_made_again(
    gateway: Gateway, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Age is what the caller of now allows."""
    wait(lambda: _finish(gateway, ask()))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)

    assert wait(lambda: gateway.run(ask(cache_max_age="90s")))[0].cached
    assert not wait(lambda: gateway.run(ask(cache_max_age="30s")))[0].cached
    assert len(engine.runs) == 2


def test_unchanged_answer_is_304(gateway: Gateway, engine: CountingEngine) -> None:
    """For whoever has it, alone or in a list; nothing runs and no body is sent."""
    first, _ = wait(lambda: _finish(gateway, ask()))

    for header in (first.etag, f'W/{first.etag}, "other"'):
        reply, body = wait(lambda header=header: gateway.run(ask(if_none_match=header)))
        assert (reply.status, body, reply.etag) == (304, b"", first.etag)
    other, _ = wait(lambda: gateway.run(ask(if_none_match='"other"')))

    assert other.status == 200
    assert len(engine.runs) == 1
    assert gateway.counts["not_modified"] == 2


def test_answer_that_was_made_again_is_not_304(
    gateway: Gateway, engine: CountingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that holds the bytes of before must not take them for the new ones."""
    old, _ = wait(lambda: _finish(gateway, ask(cache_max_age="30s")))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)
    new, _ = wait(lambda: _finish(gateway, ask(cache_max_age="30s")))

    reply, body = wait(lambda: gateway.run(ask(cache_max_age="30s", if_none_match=old.etag)))

    assert old.etag != new.etag == reply.etag
    assert (reply.status, body) == (200, b"run 2")


def test_failure_is_not_cached(gateway: Gateway, engine: CountingEngine) -> None:
    """The next request tries again; its number is that of its own."""
    engine.answer = lambda run, n: (Failure(id=0, error={"type": "UdfRuntimeError", "error": f"run {n}"}), b"")

    async def main() -> Any:
        return [(await gateway.run(ask(number=number)))[0] for number in (7, 8)]

    assert [(answer.id, answer.error["error"]) for answer in wait(main)] == [(7, "run 1"), (8, "run 2")]


def test_empty_tile_is_cached(gateway: Gateway, engine: CountingEngine) -> None:
    """Most tiles of a map are."""
    engine.answer = lambda run, n: (Reply(id=run.id, status=204), b"")

    async def main() -> Any:
        return [(await gateway.run(ask()))[0].status for _ in range(2)]

    assert wait(main) == [204, 204]
    assert len(engine.runs) == 1


def test_response_that_is_too_large_is_refused(engine: CountingEngine, options: Options, definition: Define) -> None:
    """Over HTTP; in the kernel it may be larger."""
    limited = replace(options, response_limit=10)
    results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
    gateway = Gateway(engine, results, limited, kernel_id="kernel-1")
    gateway.publish(definition("def f(): pass"), register=True)
    engine.answer = lambda run, n: (Reply(id=run.id), bytes(11))

    with pytest.raises(UdfSerializationError, match="11 bytes, 10 are allowed"):
        wait(lambda: gateway.run(ask()))
    assert wait(lambda: gateway.run(ask(returns="object")))[1] == bytes(11)


def test_warm_answer_needs_no_turn_of_the_loop(gateway: Gateway, engine: CountingEngine) -> None:
    """What memory holds is given at once; what it does not hold is nothing."""
    assert gateway.known(ask()) is None
    wait(lambda: _finish(gateway, ask()))

    known = gateway.known(ask(number=5))

    assert known is not None
    assert (known[0].id, known[0].cached, known[1]) == (5, True, b"run 1")
    assert gateway.known(ask(cache_max_age="0")) is None
    assert len(engine.runs) == 1


@pytest.mark.parametrize("max_age", ["1h", "0"])
def test_a_part_of_a_kept_result_is_cut_here(gateway: Gateway, engine: CountingEngine, max_age: str) -> None:
    """Fresh or from the cache, of one run; what is not kept is sent whole."""

    async def main() -> list[tuple[Reply | Failure, bytes]]:
        run = ask(part=(4, None), cache_max_age=max_age)
        return [await gateway.run(run), await gateway.run(run), await gateway.run(replace(run, part=None))]

    answers = wait(main)

    if max_age == "0":
        assert [body for _, body in answers] == [b"run 1", b"run 2", b"run 3"]
    else:
        assert [body for _, body in answers] == [b"1", b"1", b"run 1"]
        assert [reply.length for reply, _ in answers] == [5, 5, None]
        assert len(engine.runs) == 1


@pytest.mark.parametrize("name", ["profile", "fused_cache_disable_stream", "_stream_logs", "fused_session_token"])
def test_what_clients_add_to_every_address_is_no_argument(
    name: str, gateway: Gateway, engine: CountingEngine, definition: Define
) -> None:
    """Unless the UDF has a parameter of that name: `**kwargs` is none."""
    gateway.publish(definition(f"def own({name}=None, n=1): pass"), register=True)
    gateway.publish(definition("def any(**rest): pass"), register=True)

    async def main() -> None:
        await gateway.run(ask("own", parameters={name: "x", "n": "2"}))
        await gateway.run(ask("any", parameters={name: "x", "n": "2"}))

    wait(main)

    assert [run.parameters for _, run in engine.runs] == [{name: "x", "n": "2"}, {"n": "2"}]


# -- the same at the same time


def test_equal_requests_run_once(gateway: Gateway, engine: CountingEngine) -> None:
    """Two hundred browsers that ask for one tile at the same time cost one run; each gets its own number back."""

    async def main() -> Any:
        engine.gate = asyncio.Event()
        asked = [asyncio.create_task(gateway.run(ask(number=n, tile=(1, 0, 0)))) for n in range(200)]
        await settle()
        engine.gate.set()
        return await asyncio.gather(*asked)

    answers = wait(main)

    assert len(engine.runs) == 1
    assert [reply.id for reply, _ in answers] == list(range(200))
    assert {body for _, body in answers} == {b"run 1"}
    assert gateway.counts["joined"] == 199


def test_equal_requests_of_several_clients_are_one_run_of_the_first(gateway: Gateway, engine: CountingEngine) -> None:
    """Who asks is part of no key; the run waits in the line of who asked first."""

    async def main() -> None:
        await asyncio.gather(*(gateway.run(ask(tile=(1, 0, 0), client=client)) for client in ("a", "b", "c")))
        await gateway.run(ask(tile=(1, 0, 0), client="d"))

    wait(main)
    assert [run.client for _, run in engine.runs] == ["a"]


def test_equal_requests_that_keep_nothing_run_once_too(gateway: Gateway, engine: CountingEngine) -> None:
    """They came at the same time; afterwards it runs again."""

    async def main() -> None:
        await asyncio.gather(*(gateway.run(ask(cache_max_age="0")) for _ in range(5)))
        assert len(engine.runs) == 1
        await gateway.run(ask(cache_max_age="0"))

    wait(main)
    assert len(engine.runs) == 2


def test_python_calls_that_are_kept_run_once(gateway: Gateway, engine: CountingEngine) -> None:
    """Who joined gets at the end what was printed; so does who comes later."""
    heard: dict[int, list[tuple[str, str]]] = {0: [], 1: [], 2: []}

    async def call(number: int) -> Any:
        run = ask(number=number, parameters=None, arguments_digest="same", returns="object", cache_max_age="1h")
        return await gateway.run(run, on_text=lambda stream, text: heard[number].append((stream, text)))

    async def main() -> Any:
        engine.gate = asyncio.Event()
        asked = [asyncio.create_task(call(number)) for number in range(3)]
        await settle()
        engine.gate.set()
        return await asyncio.gather(*asked)

    answers = wait(main)

    assert len(engine.runs) == 1
    assert {body for _, body in answers} == {b"run 1"}
    assert [reply.source for reply, _ in answers] == ["miss", "joined", "joined"]
    assert heard[1] == heard[2] == [("stdout", "printed")]


def test_failure_of_a_joined_call_tells_what_was_printed(gateway: Gateway, engine: CountingEngine) -> None:
    """To each of them, whether the UDF raised or its process died."""
    heard: list[str] = []

    def crash(run: Run, number: int) -> Any:
        error = WorkerLostError("killed")
        error.stdout = "last words"
        raise error

    async def call() -> Any:
        run = ask(parameters=None, arguments_digest="same", returns="object", cache_max_age="1h")
        return await gateway.run(run, on_text=lambda _, text: heard.append(text))

    async def main() -> Any:
        return await asyncio.gather(call(), call(), return_exceptions=True)

    engine.answer = lambda run, n: (Failure(id=0, error={"type": "UdfRuntimeError"}, stdout="a word"), b"")
    wait(main)
    engine.answer = crash
    wait(main)

    assert heard == ["a word", "last words"]


def test_first_of_two_python_calls_leaves_alone(gateway: Gateway, engine: CountingEngine) -> None:
    """Ctrl-C in one cell: the other gets its answer, and the first hears no more."""
    heard: list[str] = []

    async def main() -> Any:
        engine.gate = asyncio.Event()
        run = ask(parameters=None, arguments_digest="same", returns="object", cache_max_age="1h")
        first = asyncio.create_task(gateway.run(run, on_text=lambda _, text: heard.append(text)))
        await settle()
        second = asyncio.create_task(gateway.run(run, on_text=lambda *_: None))
        await settle()
        first.cancel()
        await settle()
        engine.gate.set()
        return (await second)[1]

    assert wait(main) == b"run 1"
    assert (engine.cancelled, heard) == (0, [])


def test_python_calls_run_each(gateway: Gateway, engine: CountingEngine) -> None:
    """Their prints belong to one cell."""

    async def main() -> None:
        await asyncio.gather(*(gateway.run(ask(returns="object")) for _ in range(3)))

    wait(main)
    assert len(engine.runs) == 3


def test_error_reaches_all_who_wait(gateway: Gateway, engine: CountingEngine) -> None:
    """A crash of the one run is an answer for everybody."""

    def crash(run: Run, number: int) -> Any:
        raise WorkerLostError("killed")

    engine.answer = crash

    async def main() -> Any:
        return await asyncio.gather(*(gateway.run(ask()) for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in wait(main)] == [WorkerLostError] * 3
    assert len(engine.runs) == 1


def test_one_of_two_cancels_stops_nothing(gateway: Gateway, engine: CountingEngine) -> None:
    """The other browser still waits for its tile."""

    async def main() -> Any:
        engine.gate = asyncio.Event()
        one, other = (asyncio.create_task(gateway.run(ask())) for _ in range(2))
        await settle()
        one.cancel()
        await settle()
        engine.gate.set()
        return await other

    assert wait(main)[1] == b"run 1"
    assert (len(engine.runs), engine.cancelled) == (1, 0)


def test_last_cancel_stops_the_run(gateway: Gateway, engine: CountingEngine) -> None:
    """Nobody wants it any more; its worker is free for others."""

    async def main() -> None:
        engine.gate = asyncio.Event()
        tasks = [asyncio.create_task(gateway.run(ask())) for _ in range(2)]
        await settle()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)

    wait(main)
    assert engine.cancelled == 1


def test_request_while_a_run_is_being_stopped_gets_its_own(gateway: Gateway, engine: CountingEngine) -> None:
    """It does not join what is about to end, and is not cancelled with it."""

    async def main() -> Any:
        engine.gate, engine.stopping = asyncio.Event(), 0.1
        first = asyncio.create_task(gateway.run(ask()))
        await settle()
        first.cancel()
        await asyncio.sleep(0.01)
        second = asyncio.create_task(gateway.run(ask()))
        await asyncio.sleep(0.01)
        third = asyncio.create_task(gateway.run(ask()))
        await settle()
        engine.gate.set()
        await asyncio.wait([first])
        return [await second, await third]

    answers = wait(main)

    assert [body for _, body in answers] == [b"run 2"] * 2
    assert (len(engine.runs), engine.cancelled) == (2, 1)


# -- the same at the same time, in two processes


@pytest.fixture
def other(options: Options, definition: Define) -> tuple[Gateway, CountingEngine]:
    """A host of another kernel with the same UDF and the same cache directory."""
    engine = CountingEngine()
    results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
    made = Gateway(engine, results, options, kernel_id="kernel-2")
    made.publish(definition("def f(bounds=None, n=1): pass"), register=True)
    return made, engine


def test_equal_requests_of_two_hosts_run_once(
    gateway: Gateway, engine: CountingEngine, other: tuple[Gateway, CountingEngine]
) -> None:
    """The second waits without a worker, and finds the result."""

    async def main() -> Any:
        engine.gate = asyncio.Event()
        first = asyncio.create_task(gateway.run(ask()))
        await settle()
        second = asyncio.create_task(other[0].run(ask()))
        await settle()
        assert other[1].runs == []
        engine.gate.set()
        return [await first, await second]

    (one, body), (two, same) = wait(main)

    assert (len(engine.runs), other[1].runs) == (1, [])
    assert body == same == b"run 1"
    assert (one.cached, two.cached, two.stdout, two.kernel) == (False, True, "printed", "kernel-2")


def test_failure_reaches_those_who_wait_in_other_hosts(
    gateway: Gateway, engine: CountingEngine, other: tuple[Gateway, CountingEngine]
) -> None:
    """With line and output; later requests try again."""
    error = {"type": "UdfRuntimeError", "error": "no luck", "line": 3}
    engine.answer = lambda run, n: (Failure(id=0, error=error, stdout="said"), b"")

    async def main() -> Any:
        engine.gate = asyncio.Event()
        first = asyncio.create_task(gateway.run(ask()))
        await settle()
        second = asyncio.create_task(other[0].run(ask()))
        await settle()
        engine.gate.set()
        await first
        with pytest.raises(UdfRuntimeError, match="no luck") as caught:
            await second
        await settle()
        await other[0].run(ask())
        return caught.value

    caught = wait(main)

    assert (caught.line, caught.stdout) == (3, "said")
    assert len(other[1].runs) == 1


@pytest.mark.parametrize("end", ["cancel", "crash"])
def test_one_takes_over_where_the_other_gives_up(
    gateway: Gateway, engine: CountingEngine, other: tuple[Gateway, CountingEngine], end: str
) -> None:
    """A browser that went away, or a process that died, says nothing of the UDF."""

    def crash(run: Run, number: int) -> Any:
        raise WorkerLostError("killed")

    engine.answer = crash

    async def main() -> Any:
        engine.gate = asyncio.Event()
        first = asyncio.create_task(gateway.run(ask()))
        await settle()
        second = asyncio.create_task(other[0].run(ask()))
        await settle()
        first.cancel() if end == "cancel" else engine.gate.set()
        await asyncio.wait([first])
        return (await second)[1]

    assert wait(main) == b"run 1"
    assert len(other[1].runs) == 1


def test_who_waits_too_long_runs_as_well(options: Options, definition: Define, other: tuple[Gateway, Any]) -> None:
    """A process that hangs holds nobody else for longer than a run may take."""
    hasty = replace(options, queue_timeout=0.05, tile_timeout=0.05, file_timeout=0.05)
    engine = CountingEngine()
    results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
    gateway = Gateway(engine, results, hasty, kernel_id="kernel-1")
    gateway.publish(definition("def f(bounds=None, n=1): pass"), register=True)

    async def main() -> Any:
        other[1].gate = asyncio.Event()
        stuck = asyncio.create_task(other[0].run(ask()))
        await settle()
        answer = await gateway.run(ask())
        stuck.cancel()
        await asyncio.wait([stuck])
        return answer[1]

    assert wait(main) == b"run 1"


def test_request_that_is_dropped_while_it_waits_leaves_no_lock(
    gateway: Gateway, engine: CountingEngine, other: tuple[Gateway, CountingEngine], options: Options
) -> None:
    """Whenever it happens."""

    async def main() -> None:
        for turns in range(12):
            task = asyncio.create_task(gateway.run(ask(parameters={"n": turns})))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await gateway.close()
            await other[0].run(ask(parameters={"n": turns}))
        await other[0].close()

    wait(main)
    assert list((Path(options.cache_directory) / "turns").iterdir()) == []


# -- what makes results void


def test_deleted_results_are_made_again(gateway: Gateway, engine: CountingEngine) -> None:
    """Those of one UDF, in memory and on disk; those of others stay. Servers get another number."""

    async def main() -> Any:
        for name in ("f", "g"):
            await gateway.run(ask(name))
        await gateway.close()
        before = gateway.epoch
        count = await gateway.delete_results("f")
        again = [(await gateway.run(ask(name)))[0].cached for name in ("f", "g")]
        return count, gateway.epoch - before, again

    assert wait(main) == (1, 1, [False, True])


def test_run_from_before_a_deletion_is_neither_joined_nor_kept(gateway: Gateway, engine: CountingEngine) -> None:
    """It may have read what the user wants to be rid of."""

    async def main() -> Any:
        engine.gate = asyncio.Event()
        before = asyncio.create_task(gateway.run(ask()))
        await settle()
        await gateway.delete_results(None)
        after = asyncio.create_task(gateway.run(ask()))
        await settle()
        engine.gate.set()
        bodies = [(await task)[1] for task in (before, after)]
        await gateway.close()
        return [*bodies, (await gateway.run(ask()))[1]]

    bodies = wait(main)

    assert bodies == [b"run 1", b"run 2", b"run 2"]


def test_deletion_in_another_host_is_noticed(
    gateway: Gateway, engine: CountingEngine, other: tuple[Gateway, CountingEngine]
) -> None:
    """By its next look around."""

    async def main() -> Any:
        await gateway.run(ask())
        await gateway.close()
        assert not await gateway.look_around()
        await other[0].delete_results(None)
        changes = [await each.look_around() for each in (gateway, gateway, other[0])]
        return changes, (await gateway.run(ask()))[0].cached

    assert wait(main) == ([True, False, False], False)


def test_other_variables_are_another_result(engine: CountingEngine, options: Options, definition: Define) -> None:
    """And back again, the result of before; servers learn of each change."""
    chosen = [""]
    results = ResultCache(Path(options.cache_directory), memory_size=10_000, disk_size=1_000_000)
    gateway = Gateway(engine, results, options, kernel_id="k", environment=lambda: chosen[0])
    gateway.publish(definition("def f(): pass"), register=True)

    async def main() -> Any:
        seen = []
        for chosen[0] in ("", "one", ""):
            changed = await gateway.look_around()
            seen.append((changed, (await gateway.run(ask()))[1]))
        return seen

    assert wait(main) == [(False, b"run 1"), (True, b"run 2"), (True, b"run 1")]


def test_result_holds_as_long_as_its_modules(gateway: Gateway, engine: CountingEngine, tmp_path: Path) -> None:
    """In memory and on disk; and nobody else may keep it."""
    path = tmp_path / "beside.py"
    path.write_text("1")
    status = path.stat()
    files = ((str(path), status.st_mtime_ns, status.st_size),)
    engine.answer = lambda run, n: (Reply(id=run.id, files=files), b"run %d" % n)

    async def main() -> Any:
        replies = [(await gateway.run(ask())) for _ in range(2)]
        await asyncio.to_thread(path.write_text, "another size")
        return [*replies, await gateway.run(ask())]

    answers = wait(main)

    assert [body for _, body in answers] == [b"run 1", b"run 1", b"run 2"]
    assert [(reply.cached, reply.recheck, reply.files) for reply, _ in answers] == [
        (False, True, ()),
        (True, True, ()),
        (False, True, ()),
    ]
    assert gateway.known(ask()) is None


def test_answers_of_any_type_have_their_own_etag(gateway: Gateway, engine: CountingEngine) -> None:
    """Also where the types begin alike, and where the body is long."""
    kinds = ("application/vnd.apache.parquet", "application/vnd.apache.arrow.stream")
    bodies = (b"a", b"b", bytes(10**6))
    engine.answer = lambda run, n: (Reply(id=run.id, media_type=kinds[run.tile[1]]), bodies[run.tile[2]])

    async def main() -> Any:
        asked = [ask(tile=(2, x, y)) for x in range(2) for y in range(3)]
        return [(await gateway.run(run))[0].etag for run in asked]

    etags = wait(main)

    assert len(set(etags)) == 6
    assert all(etag.startswith('"') for etag in etags)
