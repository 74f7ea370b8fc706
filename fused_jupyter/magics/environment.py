"""What `%fused_env` does: variables that the UDFs of this notebook get."""

from __future__ import annotations

import html
import os
import shlex
from dataclasses import dataclass

from fused_jupyter.errors import ArgumentError
from fused_jupyter.runtime import KernelRuntime

_DROP = "--drop"


@dataclass(frozen=True, slots=True)
class EnvironmentListing:
    """The names of the chosen variables; their values stay in memory, as a notebook is a file that is passed on."""

    names: tuple[str, ...]

    def __repr__(self) -> str:
        if not self.names:
            return "no variable is chosen; %fused_env NAME=value, or %fused_env NAME for the value that the kernel has"
        return "\n".join(self.names)

    def _repr_html_(self) -> str:
        if not self.names:
            return html.escape(repr(self))
        return "".join(f"<div><code>{html.escape(name)}</code></div>" for name in self.names)


def choose_environment(runtime: KernelRuntime, line: str) -> EnvironmentListing | None:
    """Do what the line of the magic says; without arguments, list the names.

    Raises:
        ArgumentError: a name without a value that the kernel has not either, or one that no UDF can have.
    """
    words = shlex.split(line)
    if not words:
        return EnvironmentListing(tuple(sorted(runtime.environment)))
    changes: dict[str, str | None] = {}
    is_dropping = False
    for word in words:
        if word == _DROP:
            is_dropping = True
            continue
        name, _, _ = word.partition("=")
        changes[name] = None if is_dropping else _value(word)
    runtime.choose_environment(changes)
    return None


def _value(word: str) -> str:
    name, given, value = word.partition("=")
    if given:
        return value
    if name not in os.environ:
        raise ArgumentError(
            f"the kernel has no variable {name}; %fused_env {name}=value sets one for UDFs, "
            f"%fused_env {_DROP} {name} takes one away"
        )
    return os.environ[name]
