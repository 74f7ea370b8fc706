"""For those who watch: what runs and a way to stop it, whether all is well, and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client.exposition import choose_encoder

from fused_jupyter._version import __version__
from fused_jupyter.errors import FusedError, UnknownRunError
from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.hosts import Host
from fused_jupyter.server_ext.metrics import Metrics
from fused_jupyter.server_ext.policy import may_execute
from fused_jupyter.wire import Status, Stop

_PATIENCE_SECONDS = 2.0
_NO_RUN = "no run {!r} waits or goes on; fused/runs lists those that do"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host said of itself."""

    kernel: str
    status: dict[str, Any] | None
    """None where it did not answer in time, or said what no host of ours says."""


class RunsHandler(FusedHandler):
    """`GET|HEAD fused/runs`: what waits and what goes on."""

    route = "runs"

    @may_execute
    async def get(self) -> None:
        """Id, UDF, tile, kernel, state and times of each, the oldest first."""
        self.send_json({"runs": await active_runs(await self.hosts.running())})

    head = get


class RunHandler(FusedHandler):
    """`GET|HEAD|DELETE fused/runs/<run>`: a run that waits or goes on, and its end."""

    route = "runs"

    @may_execute
    async def get(self, run_id: str) -> None:
        """The same as in the list."""
        runs = await active_runs(await self.hosts.running())
        found = next((run for run in runs if run["run_id"] == run_id), None)
        if found is None:
            raise UnknownRunError(_NO_RUN.format(run_id))
        self.send_json(found)

    head = get

    @may_execute
    async def delete(self, run_id: str) -> None:
        """Whoever waits for it is told so; its worker is replaced."""
        stopped = await asyncio.gather(*(_stop(host, run_id) for host in await self.hosts.running()))
        if not any(stopped):
            raise UnknownRunError(_NO_RUN.format(run_id))
        self.set_status(202)
        self.send_json({"run": run_id, "stopping": True})


class HealthHandler(FusedHandler):
    """`GET|HEAD fused/health`: 200 if every kernel's host answers, else 503."""

    route = "health"

    @may_execute
    async def get(self) -> None:
        """The extension, and each host with its workers and its queue."""
        hosts = [_health(seen) for seen in await statuses(await self.hosts.running())]
        is_well = all(host["alive"] for host in hosts)
        self.set_status(200 if is_well else 503)
        self.send_json({"version": __version__, "healthy": is_well, "hosts": hosts})

    head = get


class MetricsHandler(FusedHandler):
    """`GET|HEAD fused/metrics`: for Prometheus, as text or as OpenMetrics, whichever it asks for."""

    route = "metrics"

    @may_execute
    async def get(self) -> None:
        """All counts of all hosts, and those of this server."""
        metrics = Metrics(self.settings["fused_requests"])
        for seen in await statuses(await self.hosts.running()):
            metrics.add_host(seen.kernel, seen.status)
        content, media_type = _written(metrics, self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", media_type)
        self.set_header("Cache-Control", "no-store")
        self.finish(content)

    head = get


def _written(metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """The metrics in the format that is asked for, and its media type."""
    try:
        encode, media_type = choose_encoder(accept)
        return encode(metrics), media_type
    except (TypeError, ValueError):  # the library stumbles over a version that is none
        encode, media_type = choose_encoder("")
        return encode(metrics), media_type


async def active_runs(hosts: Sequence[Host]) -> list[dict[str, Any]]:
    """What waits and goes on, the oldest first."""
    runs = [
        {**run, "kernel": seen.kernel}
        for seen in await statuses(hosts)
        for run in (seen.status or {}).get("active", ())
    ]
    return sorted(runs, key=lambda run: float(run["since"]))


async def statuses(hosts: Sequence[Host]) -> list[Seen]:
    """What each host says of itself; all are asked at once."""
    return list(await asyncio.gather(*map(_see, hosts)))


async def _see(host: Host) -> Seen:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, body = await host.client.reply_to(Status(id=host.client.next_number()))
        status = orjson.loads(body)
    except (FusedError, TimeoutError, ValueError):
        status = None
    return Seen(host.kernel_id, status if isinstance(status, dict) else None)


async def _stop(host: Host, run_id: str) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await host.client.reply_to(Stop(id=host.client.next_number(), run_id=run_id))
    except (FusedError, TimeoutError):  # it runs elsewhere, or its host hangs
        return False
    return True


def _health(seen: Seen) -> dict[str, Any]:
    status = seen.status or {}
    load = status.get("workers") or {}
    return {
        "kernel": seen.kernel,
        "alive": seen.status is not None,
        "ready": bool(status.get("is_ready")),
        "uptime_seconds": status.get("uptime", 0.0),
        "workers": {"idle": load.get("idle", 0), "busy": load.get("busy", 0)},
        "queue": load.get("waiting", 0),
    }
