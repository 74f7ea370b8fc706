"""What only the kernel may ask of its host: everything but runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson

from fused_jupyter.errors import ProtocolError
from fused_jupyter.runtime.gateway import Gateway
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import (
    DeleteResults,
    DescribeResults,
    Environment,
    GiveBack,
    Grant,
    Lease,
    Limits,
    ListResults,
    Message,
    Publish,
    Revoke,
)

Tell = Callable[[UdfDefinition | None], Awaitable[None]]
"""Tells servers what changed, and waits until they have heard."""


class Lending(Protocol):
    """Lends workers to the kernel."""

    on_recall: Callable[[int], None]

    async def open(self, message: Lease) -> None:
        """Lend one."""
        ...

    async def close(self, message: GiveBack) -> None:
        """Take one back."""
        ...


class Commands:
    """One method for each kind of message; each gives the body of the reply, which most leave empty.

    Args:
        gateway: the mirror of the kernel's registry.
        leases: the workers that the kernel has; None lends none.
        tell_servers: see `Tell`.
    """

    def __init__(self, gateway: Gateway, leases: Lending | None, tell_servers: Tell) -> None:
        self._gateway = gateway
        self._leases = leases
        self._tell_servers = tell_servers
        self._commands: dict[type, Callable[[Any], Awaitable[bytes]]] = {
            Publish: self._publish,
            Environment: self._environment,
            DescribeResults: self._describe_results,
            ListResults: self._list_results,
            DeleteResults: self._delete_results,
            Grant: self._grant,
            Revoke: self._revoke,
            Lease: self._lease,
            GiveBack: self._give_back,
        }

    async def obey(self, message: Message) -> bytes:
        """Do what a message says.

        Raises:
            ProtocolError: it is none of these.
            FusedError: what goes wrong.
        """
        command = self._commands.get(type(message))
        if command is None:
            raise ProtocolError(f"a host does not take {type(message).__name__}")
        return await command(message)

    async def _publish(self, message: Publish) -> bytes:
        definition = UdfDefinition.from_json(message.definition)
        self._gateway.publish(definition, register=message.register)
        if message.register:
            await self._tell_servers(definition)
        return b""

    async def _environment(self, message: Environment) -> bytes:
        self._gateway.choose_environment(message.variables)
        await self._tell_servers(None)
        return b""

    async def _describe_results(self, _: DescribeResults) -> bytes:
        return orjson.dumps(await self._gateway.describe_results())

    async def _list_results(self, message: ListResults) -> bytes:
        found = await asyncio.to_thread(self._gateway.answers.list, message.udf, limit=message.limit)
        return orjson.dumps(found)

    async def _delete_results(self, message: DeleteResults) -> bytes:
        count = await self._gateway.delete_results(message.udf)
        await self._tell_servers(None)
        return orjson.dumps(count)

    async def _grant(self, message: Grant) -> bytes:
        self._gateway.shares.grant(message.share, message.udf, Limits.from_json(message.limits))
        await self._tell_servers(None)
        return b""

    async def _revoke(self, message: Revoke) -> bytes:
        self._gateway.shares.revoke(message.share)
        await self._tell_servers(None)
        return b""

    async def _lease(self, message: Lease) -> bytes:
        await self._lending.open(message)
        return b""

    async def _give_back(self, message: GiveBack) -> bytes:
        await self._lending.close(message)
        return b""

    @property
    def _lending(self) -> Lending:
        if self._leases is None:
            raise ProtocolError("the host of saved UDFs lends no workers")
        return self._leases
