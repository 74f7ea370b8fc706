"""What `%fused_doctor` checks: kernel → host → workers → server → route → browser."""

from __future__ import annotations

import html
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from fused_jupyter.errors import FusedError
from fused_jupyter.runtime import KernelRuntime
from fused_jupyter.runtime.server import JupyterServer
from fused_jupyter.udfs import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step of the way."""

    name: str
    is_well: bool
    says: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Doctor:
    """The hops that were tried, in order; after one that fails no other is tried."""

    hops: tuple[Hop, ...]

    @classmethod
    def examine(cls, runtime: KernelRuntime) -> Doctor:
        """Try each hop."""
        hops: list[Hop] = []
        for name, check in _CHECKS.items():
            started = time.perf_counter()
            try:
                says, is_well = check(runtime), True
            except FusedError as exc:
                says, is_well = exc.message, False
            except OSError as exc:
                says, is_well = f"{type(exc).__name__}: {exc}", False
            hops.append(Hop(name=name, is_well=is_well, says=says, seconds=time.perf_counter() - started))
            if not is_well:
                break
        return cls(tuple(hops))

    @property
    def failing(self) -> Hop | None:
        """The hop that fails, None when all is well."""
        return next((hop for hop in self.hops if not hop.is_well), None)

    def __repr__(self) -> str:
        lines = [
            f"{'ok  ' if hop.is_well else 'FAIL'} {hop.name:<9} {hop.says} ({hop.seconds * 1000:.0f} ms)"
            for hop in self.hops
        ]
        return "\n".join([*lines, self._verdict()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'✓' if hop.is_well else '✗'}</td><td style='text-align:left'>{hop.name}</td>"
            f"<td style='text-align:left'>{html.escape(hop.says)}</td><td>{hop.seconds * 1000:.0f} ms</td></tr>"
            for hop in self.hops
        )
        return f"<table><tbody>{rows}</tbody></table><div>{html.escape(self._verdict())}</div>"

    def _verdict(self) -> str:
        return f"the way breaks at: {self.failing.name}" if self.failing else "all hops work"


def _kernel(runtime: KernelRuntime) -> str:
    return f"kernel {runtime.kernel_id}, {len(runtime.registry.all())} UDFs registered"


def _host(runtime: KernelRuntime) -> str:
    status = runtime.status()
    return f"process {status['pid']}, up {status['uptime']:.0f} s, log {runtime.link.log_path}"


def _workers(runtime: KernelRuntime) -> str:
    definition = parse("def fused_doctor_probe(n: int):\n    return n + 1\n")
    answer = runtime.run(definition, {"n": 41}, tile=None, cache_max_age=None)
    if answer != 42:
        raise FusedError(f"a worker answered {answer!r} to 41 + 1")
    load = runtime.status()["workers"]
    return f"a UDF ran; {load['idle']} idle, {load['busy']} busy, {load['waiting']} calls waiting"


def _server(runtime: KernelRuntime) -> str:
    server = runtime.server()
    return f"{server.origin or 'behind JupyterHub'}{server.base_url}, process {server.pid}"


def _extension(runtime: KernelRuntime) -> str:
    server = runtime.server()
    if not _is_reached(server):
        return "JupyterHub: only the browser can reach it from outside; its map says what it finds"
    answer = json.loads(_get(server, f"fused/ping?kernel={runtime.kernel_id}"))
    if not answer.get("alive"):
        raise FusedError(
            "the server's extension answers, but cannot reach this kernel's host; look into the server's log"
        )
    return f"fused_jupyter {answer['version']} answers and reaches this kernel's host"


def _route(runtime: KernelRuntime) -> str:
    server = runtime.server()
    names = [udf.name for udf in runtime.registry.all() if not any(p.is_required for p in udf.parameters)]
    if not _is_reached(server):
        return "left to the browser"
    if not names:
        return "no UDF to try"
    body = _get(server, f"fused/run/tiles/{names[-1]}/0/0/0?kernel={runtime.kernel_id}")
    return f"tile 0/0/0 of {names[-1]}: {len(body)} bytes"


def _browser(_: KernelRuntime) -> str:
    widgets = sys.modules.get("ipywidgets")
    shown = [
        str(widget.transport)
        for widget in (widgets.Widget.widgets.values() if widgets else ())
        if type(widget).__name__ == "FusedMap" and widget.transport
    ]
    return (
        f"the last map says: {shown[-1]}"
        if shown
        else "no map is open; open one, its status line says how it gets its tiles"
    )


_CHECKS: dict[str, Callable[[KernelRuntime], str]] = {
    "kernel": _kernel,
    "host": _host,
    "workers": _workers,
    "server": _server,
    "extension": _extension,
    "route": _route,
    "browser": _browser,
}


def _is_reached(server: JupyterServer) -> bool:
    """Whether this kernel can ask it: with the key of its extension, also behind JupyterHub, else with its token."""
    return bool(server.key and server.local_url) or bool(server.origin and server.token)


def _get(server: JupyterServer, path: str) -> bytes:
    has_key = server.key and server.local_url
    url, secret = (f"{server.local_url}{path}", server.key) if has_key else (server.url(path), server.token)
    request = urllib.request.Request(url, headers={"Authorization": f"token {secret}"})  # noqa: S310 - http(s), from Jupyter's own files
    # The certificate of a server on this machine is nobody's but ours; the secret goes nowhere else.
    context = ssl._create_unverified_context() if url.startswith("https://127.0.0.1") else None  # noqa: S323, SLF001
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as response:  # noqa: S310 - see above
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as exc:
        text = exc.read(2000).decode(errors="replace")
        raise FusedError(f"{server.base_url}{path} answered {exc.code}: {text}") from exc
