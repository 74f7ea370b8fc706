"""What the owner may ask of saved UDFs, tokens and files; see `desks/`, a module for each family."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from fused_jupyter.errors import FusedError, ProtocolError
from fused_jupyter.settings import Options
from fused_jupyter.storage import Library
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Ask

Deed = Callable[[Mapping[str, Any]], Any]
"""From JSON to JSON, in a thread."""

_FAMILIES = ("udfs", "tokens", "files")


class Desk:
    """A table of deeds by their names, `udfs.find` and so on.

    Args:
        library: the saved UDFs.
        options: the settings.
        publish: takes code that is to run without being saved.
    """

    def __init__(self, library: Library, options: Options, publish: Callable[[UdfDefinition], None]) -> None:
        self._deeds: dict[str, Deed] = {}
        for family in _FAMILIES:
            module = importlib.import_module(f"fused_jupyter.runtime.desks.{family}")
            self._deeds |= module.desk(library, options, publish)

    async def obey(self, message: Ask) -> bytes:
        """Do what was asked for; gives JSON.

        Raises:
            ProtocolError: nobody here does such a thing.
            FusedError: what goes wrong.
        """
        deed = self._deeds.get(message.what)
        if deed is None:
            raise ProtocolError(f"the host of saved UDFs does not know {message.what!r}; its version is another one")
        try:
            return orjson.dumps(await asyncio.to_thread(deed, message.arguments))
        except FusedError:  # some are OSErrors too
            raise
        except OSError as exc:  # which file it was is nothing for who has a signature only
            raise FusedError(f"{message.what}: {exc.strerror or exc}; see the disk of FUSED_DATA_DIRECTORY") from exc
