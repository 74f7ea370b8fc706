"""What a run gave, with all that is known of it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from fused_jupyter.api.figures import amount, duration, glimpse
from fused_jupyter.api.udf import Udf
from fused_jupyter.errors import FusedError, UdfSerializationError, UdfTimeoutError

_ERROR_TYPES: dict[type[FusedError], str] = {
    UdfSerializationError: "serialization_error",
    UdfTimeoutError: "timeout_error",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """The answer of `fused.run_result`.

    `time_taken_seconds`, `is_cached`, `has_exception`, `exception_class`, `error_message`, `error_lineno` and
    `error_type` are what Fused's own client calls them.
    """

    udf: Udf
    """The version that ran."""
    data: Any = None
    """What the UDF returned; None where it failed."""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    """How long the UDF ran; a cached result has the time of the run that made it."""
    peak_memory: int = 0
    """Bytes that the run needed at most, beyond what its process had before; 0 where it is not known."""
    cached: bool = False
    """Whether it had run before."""
    run_id: str = ""
    """The run that made it, as the host's log and `%fused_top` call it."""
    error: FusedError | None = None
    """What went wrong."""

    def raise_for_error(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error

    @property
    def time_taken_seconds(self) -> float:
        """`seconds`."""
        return self.seconds

    @property
    def is_cached(self) -> bool:
        """`cached`."""
        return self.cached

    @property
    def has_exception(self) -> bool:
        """Whether there is an `error`."""
        return self.error is not None

    @property
    def exception_class(self) -> str | None:
        """Class of what the UDF raised, else that of the error."""
        return None if self.error is None else self.error.child_exception_class or type(self.error).__name__

    @property
    def error_message(self) -> str | None:
        """What the error says."""
        return None if self.error is None else self.error.message

    @property
    def error_lineno(self) -> int | None:
        """Line of the UDF's source in which it failed."""
        return None if self.error is None else self.error.line

    @property
    def error_type(self) -> str | None:
        """`serialization_error`, `timeout_error`, or None for others."""
        return None if self.error is None else _ERROR_TYPES.get(type(self.error))

    def __repr__(self) -> str:
        said = self._failure() if self.error is not None else glimpse(self.data, 300)
        facts = " · ".join([self.udf.name, *self._facts()])
        return f"<RunResult of {facts}>\n{said}" if "\n" in said else f"<RunResult of {facts}: {said}>"

    def _repr_html_(self) -> str:
        facts = " · ".join(html.escape(fact) for fact in self._facts())
        printed = "".join(
            _folded(f"{stream}: {_lines(text)}", text)
            for stream, text in (("stdout", self.stdout), ("stderr", self.stderr))
            if text
        )
        return (
            "<div style='font-size:13px;line-height:1.6'>"
            f"<div><code style='font-weight:600'>{html.escape(self.udf.name)}</code> "
            f"<span style='opacity:.75'>{facts}</span></div>"
            f"{printed}{self._said()}</div>"
        )

    def _facts(self) -> list[str]:
        facts = [duration(self.seconds)]
        if self.peak_memory:
            facts.append(f"{amount(self.peak_memory)} of memory")
        if self.cached:
            facts.append("cached")
        if printed := self.stdout + self.stderr:
            facts.append(f"{_lines(printed)} printed")
        return facts

    def _failure(self) -> str:
        where = f" (line {self.error_lineno})" if self.error_lineno else ""
        return f"{type(self.error).__name__}: {glimpse_of_text(self.error_message or '', 500)}{where}"

    def _said(self) -> str:
        """The error, or the value as the notebook would show it."""
        if self.error is not None:
            return f"<div style='color:#c92a2a'>{html.escape(self._failure())}</div>"
        shown = getattr(self.data, "_repr_html_", None)
        if callable(shown) and not isinstance(self.data, type):
            try:
                if isinstance(page := shown(), str):
                    return page
            except Exception:  # noqa: BLE001, S110 - the value's own code; its repr does as well
                pass
        return _preformatted(glimpse(self.data, 1500))


def glimpse_of_text(text: str, length: int) -> str:
    """The beginning of a text.

    >>> glimpse_of_text("one two", 5)
    'one …'
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _lines(text: str) -> str:
    count = len(text.splitlines())
    return f"{count} line{'' if count == 1 else 's'}"


def _folded(title: str, text: str) -> str:
    """The end of a text, to be opened with a click."""
    shown = text if len(text) <= 700 else f"…{text[-699:]}"
    return f"<details><summary>{html.escape(title)}</summary>{_preformatted(shown)}</details>"


def _preformatted(text: str) -> str:
    return f"<pre style='margin:0;white-space:pre-wrap'>{html.escape(text)}</pre>"
