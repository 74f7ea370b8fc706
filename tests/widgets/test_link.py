"""A kernel's own answers to a page, beside those of a real Jupyter server: the same requests, the same answers."""

from __future__ import annotations

import ast
import base64
import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.errors import ArgumentError, UdfRuntimeError
from fused_jupyter.widgets import FusedMap
from fused_jupyter.widgets._assets import bundle_hash
from fused_jupyter.widgets._link import Link
from fused_jupyter.wire import Reply, Run

UDFS = """
@fused.udf
def ramp(bounds: fused.types.Bounds = None, level: int = 200):
    import numpy as np
    print("ramp was here")
    return np.full((3, 256, 256), level, "uint8")

@fused.udf
def lands(bounds: fused.types.Bounds = None):
    import geopandas, shapely
    return geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.box(-120, -60, 120, 60)], crs=4326)

@fused.udf
def broken(bounds: fused.types.Bounds = None):
    print("before the fall")
    return {}["mag"]

@fused.udf(cache_max_age="0s")
def fresh(n: int = 1):
    return {"n": n}
"""
PAGE = """
import base64, json, threading
from fused_jupyter import runtime
from fused_jupyter.widgets._link import Link

class Page:
    def __init__(self):
        self.told, self.heard = None, threading.Event()
    def send(self, content, buffers=None):
        if content["kind"] == "answer":
            body = base64.b64encode(b"".join(buffers or [])).decode()
            self.told = dict(content, body=body, thread=threading.current_thread().name)
            self.heard.set()

def ask(path, headers={}):
    page = Page()
    link = Link(page, runtime.current())
    link.take({"kind": "request", "request": "r", "path": path, "headers": headers})
    assert page.heard.wait(60), path
    print("TOLD " + json.dumps(page.told))
"""
SAME = {
    *("content-type", "content-disposition", "x-content-type-options", "referrer-policy", "x-fused-kernel", "etag"),
    *("cache-control", "retry-after", "x-fused-metadata", "x-fused-features"),
}
"""Headers that both ways tell alike; the others are times, numbers of runs, and matters of HTTP itself."""


@dataclass(frozen=True, kw_only=True)
class Told:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def same(self) -> dict[str, Any]:
        """What does not depend on the way."""
        headers = {name.lower(): text for name, text in self.headers.items() if name.lower() in SAME}
        if headers.get("content-type") != "application/json" or self.status < 400:
            return {"status": self.status, "headers": headers, "body": self.body}
        fields = json.loads(self.body)
        fields.pop("run", None)  # each run has a number of its own
        return {"status": self.status, "headers": headers, "body": fields}


@pytest.fixture(scope="module")
def server() -> Iterator[JupyterServer]:
    """What is compared with."""
    with JupyterServer() as server:
        yield server


@pytest.fixture(scope="module")
def kernel(server: JupyterServer) -> Iterator[Kernel]:
    """A kernel with UDFs, that can ask itself as a page would."""
    with server.running_kernel() as kernel:
        kernel.execute("%load_ext fused_jupyter\nimport fused").check()
        kernel.execute(UDFS).check()
        kernel.execute(PAGE).check()
        yield kernel


def by_http(kernel: Kernel, path: str, headers: Mapping[str, str] | None = None) -> Told:
    answer = kernel.server.get(path, headers={"Accept-Encoding": "identity", **(headers or {})})
    return Told(status=answer.status, headers=dict(answer.headers.items()), body=answer.body)


def by_comm(kernel: Kernel, path: str, headers: Mapping[str, str] | None = None) -> Told:
    text = kernel.execute(f"ask({path!r}, {dict(headers or {})!r})").check().text
    fields = json.loads(text.rpartition("TOLD ")[2])
    return Told(status=fields["status"], headers=fields["headers"], body=base64.b64decode(fields["body"]))


@pytest.mark.parametrize(
    "path",
    [
        "fused/run/tiles/ramp/1/0/0.png?level=90",
        "fused/run/tiles/ramp/1/0/0.npy",
        "fused/run/tiles/ramp/1/0/0?level=80",
        "fused/run/tiles/lands/1/0/0.mvt",
        "fused/run/tiles/lands/3/0/0.mvt",
        "fused/run/file/fresh.json?n=7",
        "fused/run/file/lands.geojson",
        "fused/run/tiles/broken/1/0/0.png",
        "fused/run/tiles/nobody/1/0/0.png",
        "fused/run/tiles/ramp/1/0/9.png",
        "fused/run/tiles/ramp/a/b/c.png",
        "fused/run/tiles/ramp/1/0/0.png?level=many",
        "fused/run/tiles/ramp/1/0/0.nonsense",
        "fused/run/tiles/r%61mp/1/0/0.png?level=%FF",
        "fused/static/map.js?v=0000",
        "fused/static/loader.js",
        "fused/static/..%2f__init__.py",
    ],
)
def test_comm_answers_as_the_server_does(kernel: Kernel, path: str) -> None:
    """Status, body, and the headers that say what it is, how long it holds and what the UDF printed."""
    path = f"{path}{'&' if '?' in path else '?'}kernel={kernel.id}"

    assert by_comm(kernel, path).same() == by_http(kernel, path).same()


def test_a_long_run_gives_signs_of_life(kernel: Kernel) -> None:
    """About once in a second, until its answer is there."""
    kernel.execute(
        "@fused.udf\ndef long(n: int = 0):\n    import time\n    time.sleep(2.5)\n    return {'n': n}"
    ).check()
    code = """
signs = []
class Heard(Page):
    def send(self, content, buffers=None):
        signs.append((content["kind"], content["request"]))
        super().send(content, buffers)
page = Heard()
Link(page, runtime.current()).take({"request": "r", "path": "fused/run/file/long.json", "headers": {}})
assert page.heard.wait(30)
print(signs)
"""

    signs = ast.literal_eval(kernel.execute(code).check().text.strip())

    assert signs[-1] == ("answer", "r")
    assert 1 <= signs.count(("wait", "r")) == len(signs) - 1


def test_an_etag_that_holds_is_a_304(kernel: Kernel) -> None:
    """What a page has got it need not get again."""
    path = f"fused/run/tiles/ramp/2/0/0.png?kernel={kernel.id}"
    etag = by_comm(kernel, path).headers["ETag"]

    told = by_comm(kernel, path, {"if-none-match": etag})

    assert (told.status, told.body) == (304, b"")
    assert by_http(kernel, path, {"If-None-Match": etag}).status == 304


def test_an_address_with_the_version_is_kept_unasked(kernel: Kernel, server: JupyterServer) -> None:
    """`v=` of the code that ran makes an answer immutable, as by HTTP."""
    digest = server.get("fused/udfs/ramp").json()["digest"]
    path = f"fused/run/tiles/ramp/2/0/1.png?kernel={kernel.id}&v={digest}"

    assert "immutable" in by_comm(kernel, path).headers["Cache-Control"]
    assert by_comm(kernel, path).same() == by_http(kernel, path).same()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("fused/run/tiles/ramp/1/0/0.png?kernel=another", 403),
        ("fused/udfs", 404),
        ("fused/runs", 404),
        ("fused/fsh_token/run/tiles/1/0/0.png", 404),
        ("api/sessions", 404),
        ("../api/sessions", 404),
        ("", 404),
    ],
)
def test_comm_opens_nothing_but_its_routes(kernel: Kernel, path: str, status: int) -> None:
    """Other kernels, tokens and the rest of the server are not reached by it."""
    assert by_comm(kernel, path).status == status


def test_the_maps_code_comes_by_comm(kernel: Kernel) -> None:
    """The very bytes that the server gives."""
    path = f"fused/static/map.js?v={bundle_hash()}"

    assert by_comm(kernel, path).same() == by_http(kernel, path).same()


def test_answers_come_while_a_cell_runs(kernel: Kernel) -> None:
    """Once a request has been taken, the thread that runs cells is not needed for its answer."""
    code = """
page = Page()
Link(page, runtime.current()).take({"request": "r", "path": "fused/run/tiles/ramp/5/0/0.png", "headers": {}})
is_later = not page.heard.is_set()
started = __import__("time").time()
while not page.heard.is_set() and __import__("time").time() - started < 30: pass
print(is_later, page.told["status"], page.told["thread"])
"""

    text = kernel.execute(code).check().text

    assert text.split("\n")[-2] == "True 200 fused-host-link"


def test_a_cancelled_request_stops_its_run(kernel: Kernel) -> None:
    """The worker is free again, and nobody is told anything."""
    kernel.execute(
        "@fused.udf\ndef slow(n: int = 0):\n    import time\n    time.sleep(60)\n"
        "page = Page(); link = Link(page, runtime.current())\n"
        "link.take({'request': 'r', 'path': 'fused/run/file/slow.json?n=1', 'headers': {}})"
    ).check()
    kernel.wait_for_status(lambda status: any(run["udf"] == "slow" for run in status["active"]))
    before = kernel.status()["cancelled"]

    kernel.execute("link.cancel({'request': 'r'})").check()

    status = kernel.wait_for_status(lambda status: not any(run["udf"] == "slow" for run in status["active"]))
    assert status["cancelled"] == before + 1
    assert kernel.execute("print(page.heard.is_set())").text.strip() == "False"


# -- without a server


@dataclass
class FakeRuntime:
    """Keeps what it is asked for until the test answers."""

    kernel_id: str = "kernel-1"
    asked: list[tuple[Run, Future[tuple[Reply, bytes]], Callable[[], None]]] = field(default_factory=list)

    def answer(self, run: Run, *, on_wait: Callable[[], None]) -> Future[tuple[Reply, bytes]]:
        future: Future[tuple[Reply, bytes]] = Future()
        self.asked.append((run, future, on_wait))
        return future


class Page:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []

    def send(self, content: Mapping[str, Any], buffers: list[bytes] | None = None) -> None:
        self.told.append({**content, "buffers": buffers})


REQUEST = {"request": "r", "path": "fused/run/tiles/u/1/0/0.png", "headers": {}}


def test_a_request_said_twice_runs_once() -> None:
    """Pages repeat what they heard nothing of."""
    page, runtime = Page(), FakeRuntime()
    link = Link(page, runtime)  # type: ignore[arg-type]  # as much of a runtime as a link needs

    link.take(REQUEST)
    link.take(REQUEST)
    runtime.asked[0][1].set_result((Reply(id=1, media_type="image/png"), b"tile"))

    assert len(runtime.asked) == 1
    assert [(told["kind"], told["status"], told["buffers"]) for told in page.told] == [("answer", 200, [b"tile"])]


def test_signs_of_life_are_passed_on() -> None:
    """A page that waits for a long run is told that it goes on."""
    page, runtime = Page(), FakeRuntime()
    link = Link(page, runtime)  # type: ignore[arg-type]  # same

    link.take(REQUEST)
    runtime.asked[0][2]()

    assert page.told == [{"kind": "wait", "request": "r", "buffers": None}]


def test_a_closed_link_waits_for_nothing() -> None:
    """All runs of a map end with it; what fails later is told to nobody."""
    page, runtime = Page(), FakeRuntime()
    link = Link(page, runtime)  # type: ignore[arg-type]  # same
    for name in ("a", "b"):
        link.take({**REQUEST, "request": name})

    link.close()

    assert [future.cancelled() for _, future, _ in runtime.asked] == [True, True]
    assert page.told == []


def test_a_cancel_and_an_answer_at_once_do_not_meet_badly() -> None:
    """Whichever comes first counts, whatever threads they come in."""
    for _ in range(200):
        page, runtime = Page(), FakeRuntime()
        link = Link(page, runtime)  # type: ignore[arg-type]  # same
        link.take(REQUEST)
        future = runtime.asked[0][1]
        cancelling = threading.Thread(target=link.cancel, args=({"request": "r"},))
        cancelling.start()
        if future.set_running_or_notify_cancel():
            future.set_exception(UdfRuntimeError("no"))
        cancelling.join()

        assert len(page.told) <= 1
        link.take(REQUEST)
        assert len(runtime.asked) == 2, "its name is free again"


@pytest.mark.parametrize("content", [{}, {"path": 7}, {"headers": 7}, {"path": "fused/run/tiles/u/1/0/x"}])
def test_garbage_is_answered(content: Mapping[str, Any]) -> None:
    """A page that hears nothing would wait."""
    page = Page()

    Link(page, FakeRuntime()).take({"request": "r", **content})  # type: ignore[arg-type]  # same

    assert [told["kind"] for told in page.told] == ["answer"]
    assert page.told[0]["status"] >= 400


def test_a_way_can_be_asked_for(registry: Any) -> None:
    """Of those there are."""
    assert FusedMap("quakes").wanted_transport == "auto"
    assert FusedMap("quakes", transport="comm").wanted_transport == "comm"
    with pytest.raises(ArgumentError, match="got 'carrier pigeon', need one of auto, http, comm"):
        FusedMap("quakes", transport="carrier pigeon")


def test_a_closed_map_is_garbage(registry: Any) -> None:
    """Neither the registry of UDFs, nor that of widgets, nor its link keeps a map that was closed."""
    maps = [FusedMap("quakes") for _ in range(5)]
    dead = [weakref.ref(one) for one in maps]
    before = len(registry.listeners)

    for one in maps:
        one.close()
    del maps, one
    gc.collect()

    assert [reference() for reference in dead] == [None] * 5
    assert len(registry.listeners) == before - 5
