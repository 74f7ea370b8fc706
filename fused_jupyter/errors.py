"""Every error that users see, as one tree; each class knows its HTTP status.

FusedError                      500
├── UdfDefinitionError          400   the cell or function is no UDF
├── UnknownUdfError             404   nobody registered that name
│   └── UdfNotFoundError        404   there is no such file or folder to load
├── UdfExistsError              409   something is there already
├── ArgumentError               422   an argument does not fit its parameter
├── UnknownRunError             404   no such run waits or goes on
├── TileError                   400   z/x/y is no tile
├── FormatError                 400   an unknown format
│   └── NotAcceptableError      406   a format that cannot hold the value
├── UdfRuntimeError             422   the UDF raised
│   ├── UdfMemoryError          422   the UDF needed more memory than a call may have
│   └── UdfRecursionError       422   UDFs run each other deeper than they may
├── UdfSerializationError       422   the UDF returned what no format can carry
├── DownloadError               502   a file could not be fetched
├── MissingFileError            404   an address names no file
├── UdfTimeoutError             504   the deadline passed; the worker was stopped
├── WorkerLostError             500   the process of this call died
├── CancelledRunError           499   the caller went away or pressed stop
├── BusyError                   503   no worker became free in time
├── HostLostError               503   the kernel or its runtime host is gone or restarting
├── ProtocolError               502   two versions of fused_jupyter do not understand each other
├── AccessError                 403   this caller may not do that
├── ShareError                  404   unknown, revoked or expired token
├── UnknownTokenError           404   the owner asked for a token that is not there
├── RateError                   429   a token is used more often than it allows
├── SecretError                 403   the file of secrets may not, or cannot, be read
├── PictureError                504   no page drew a map in time
├── CloudOnlyError              501   only Fused's cloud can do that
└── NoServerError               500   no Jupyter server with the extension was found
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class FusedError(Exception):
    """Base of all errors of this package.

    Args:
        message: what came, what was wanted, what to do.
        udf: name of the UDF concerned.
        parameter: name of the parameter that did not fit.
        line: line in the UDF's source, counted from 1 as the notebook's editor shows it.
        source_line: the text of that line.
        traceback: the UDF's own traceback, for its owner only.
        child_exception_class: class name of the exception that the UDF raised.
        retry_after: seconds after which another try makes sense.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        udf: str | None = None,
        parameter: str | None = None,
        line: int | None = None,
        source_line: str | None = None,
        traceback: str | None = None,
        child_exception_class: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.udf = udf
        self.parameter = parameter
        self.line = line
        self.source_line = source_line
        self.traceback = traceback
        self.child_exception_class = child_exception_class
        self.retry_after = retry_after
        self.stdout = ""
        """What the run had printed when it failed; like those below filled in by whoever ran it."""
        self.stderr = ""
        self.seconds = 0.0
        self.peak_memory = 0
        self.run_id = ""
        """The run that failed, as the log of the host calls it."""
        self.queue_seconds = 0.0
        self.is_told = False
        """Whether somebody with a token may know all of it."""

    def __str__(self) -> str:
        return self.message

    def to_wire(self) -> dict[str, Any]:
        """This error as a JSON object; fields that say nothing are left out."""
        fields = {"type": type(self).__name__, "error": self.message}
        fields |= {name: value for name in _DETAILS if (value := getattr(self, name)) is not None}
        return {name: _printable(value) for name, value in fields.items()}

    @staticmethod
    def from_wire(fields: Mapping[str, Any]) -> FusedError:
        """The error that `to_wire` wrote; an unknown class (a newer peer) becomes a `FusedError`."""
        kind = _BY_NAME.get(str(fields.get("type")), FusedError)
        return kind(str(fields.get("error", "")), **{name: fields.get(name) for name in _DETAILS})

    def with_udf(self, name: str) -> Self:
        """The same error, saying which UDF it is about."""
        self.udf = self.udf or name
        return self

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the UDF's traceback, its line marked, the message; not the frames of this package."""
        shown = [self.traceback.rstrip(), ""] if self.traceback else []
        if self.line is not None and self.source_line:
            where = f"{self.udf}, line {self.line}:" if self.udf else f"line {self.line}:"
            shown += [where, f"----> {self.line} {self.source_line.rstrip()}", ""]
        return [*shown, f"{type(self).__name__}: {self.message}"]


def _printable(value: Any) -> Any:  # text, or a number that stays as it is
    """Text as UTF-8 can hold it: a UDF may raise with half a character, and JSON refuses that."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


_DETAILS = ("udf", "parameter", "line", "source_line", "traceback", "child_exception_class", "retry_after")


class UdfDefinitionError(FusedError):
    """The cell or function cannot be a UDF; whatever was registered before stays."""

    status = 400


class UnknownUdfError(FusedError):
    """No running kernel has a UDF of that name."""

    status = 404


class UdfNotFoundError(UnknownUdfError, FileNotFoundError):
    """There is no such file or folder to load a UDF from."""


class UdfExistsError(FusedError, FileExistsError):
    """Something is there already, and it may not, or must not, be replaced."""

    status = 409


class ArgumentError(FusedError, ValueError):
    """An argument is missing, unknown, or does not fit its parameter."""

    status = 422


class UnknownRunError(FusedError):
    """No run of that id waits or goes on."""

    status = 404


class TileError(FusedError, ValueError):
    """The tile indices are no tile."""

    status = 400


class FormatError(FusedError, ValueError):
    """The format is unknown."""

    status = 400


class NotAcceptableError(FormatError):
    """The format cannot hold what the UDF returned; the message lists those that can."""

    status = 406


class UdfRuntimeError(FusedError, RuntimeError):
    """The UDF raised; `child_exception_class` names what, `traceback` shows where."""

    status = 422


class UdfMemoryError(UdfRuntimeError):
    """The UDF needed more memory than a call may have; it was stopped."""


class UdfRecursionError(UdfRuntimeError, RecursionError):
    """UDFs run each other deeper than they may; the message names them."""


class UdfSerializationError(FusedError):
    """The UDF returned a value that no response format can carry."""

    status = 422


class DownloadError(FusedError, OSError):
    """A file could not be fetched; nothing, or what was there before, is in its place."""

    status = 502
    answered: int | None = None
    """The status that a web server answered with, where one did."""


class MissingFileError(FusedError, FileNotFoundError):
    """The address names no file."""

    status = 404


class UdfTimeoutError(FusedError, RuntimeError):
    """The deadline passed and the worker was stopped."""

    status = 504

    @classmethod
    def after(cls, seconds: float, *, udf: str) -> Self:
        """The error of a run that was stopped after so long."""
        return cls(f"{udf} ran longer than {seconds:g} s and was stopped; do less, or raise the timeout", udf=udf)

    @classmethod
    def in_kernel(cls, seconds: float, *, udf: str) -> Self:
        """The error of a run in the kernel that nobody waits for any longer."""
        return cls(
            f'{udf} runs in the kernel (engine="kernel"), which gave no answer within {seconds:g} s: a cell keeps it '
            "busy, or the UDF takes that long. It cannot be stopped there and goes on; do less, wait for the cell, or "
            "let it run in a worker with --use",
            udf=udf,
        )


class WorkerLostError(FusedError):
    """The worker process of this call died; other calls are not affected."""

    status = 500

    @classmethod
    def after_nonsense(cls, *, udf: str) -> Self:
        """The error of a run whose worker sent what no worker sends."""
        return cls(f"{udf} wrote into files that are not its own, and its process was stopped", udf=udf)


class CancelledRunError(FusedError):
    """The caller went away or asked to stop."""

    status = 499


class BusyError(FusedError):
    """No worker became free in time."""

    status = 503


class HostLostError(FusedError):
    """The kernel or its runtime host is gone or restarting."""

    status = 503


class ProtocolError(FusedError):
    """The peer speaks another protocol version, or no protocol at all."""

    status = 502


class AccessError(FusedError):
    """This caller may not do that."""

    status = 403


class ShareError(FusedError):
    """The token is unknown, revoked, expired or for another UDF; which of these is not told."""

    status = 404


class UnknownTokenError(FusedError):
    """The owner asked for a token that is not there."""

    status = 404


class RateError(FusedError):
    """A token is used more often than it allows; `retry_after` says when to come again."""

    status = 429


class SecretError(FusedError):
    """The file of secrets is open to others, or broken; nothing of it is shown."""

    status = 403


class PictureError(FusedError):
    """No page drew a picture of a map: none shows it, or none answered in time."""

    status = 504


class CloudOnlyError(FusedError, NotImplementedError):
    """Only Fused's cloud can do that; the message says what to use here."""

    status = 501


class NoServerError(FusedError):
    """No Jupyter server with the fused_jupyter extension was found for this kernel."""


_BY_NAME: dict[str, type[FusedError]] = {
    kind.__name__: kind
    for kind in (
        UdfDefinitionError,
        UnknownUdfError,
        UdfNotFoundError,
        UdfExistsError,
        ArgumentError,
        UnknownRunError,
        TileError,
        FormatError,
        NotAcceptableError,
        UdfRuntimeError,
        UdfMemoryError,
        UdfRecursionError,
        UdfSerializationError,
        DownloadError,
        MissingFileError,
        UdfTimeoutError,
        WorkerLostError,
        CancelledRunError,
        BusyError,
        HostLostError,
        ProtocolError,
        AccessError,
        ShareError,
        UnknownTokenError,
        RateError,
        SecretError,
        PictureError,
        CloudOnlyError,
        NoServerError,
    )
}
