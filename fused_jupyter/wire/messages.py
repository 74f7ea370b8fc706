"""The messages between kernel, server and host, and between host and workers.

Each is a frozen value whose fields are JSON; the body of the frame, if any, travels beside it unread. Adding a message
is a class here and its handler in `runtime/listener.py`; a change of meaning raises `PROTOCOL`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import orjson

from fused_jupyter.errors import FusedError, ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Run a UDF. Answered by `Output`*, then `Reply` or `Failure`."""

    id: int
    udf: str = ""
    """Name; empty when `share` says which UDF."""
    digest: str | None = None
    """The version that is wanted; where it is None or not known any more, the newest registration of that name runs."""
    share: str | None = None
    """SHA-256 of a token in hex; the host looks up what it opens."""
    tile: tuple[int, int, int] | None = None
    """(z, x, y); None runs the UDF as a file."""
    parameters: Mapping[str, Any] | None = None
    """Arguments as they came: text over HTTP. None when they are pickled in the body (kernel only)."""
    extension: str | None = None
    format: str | None = None
    dtype_out_raster: str | None = None
    dtype_out_vector: str | None = None
    accept: str | None = None
    """The header, where the request names a format in no other way."""
    domain: tuple[float, float] | None = None
    """Range of values of the tile's layer; the host fills it in, see `Reply.domain`."""
    returns: Literal["encoded", "object"] = "encoded"
    """`object` gives the pickled value, to the kernel only."""
    cache_max_age: str | None = None
    if_none_match: str | None = None
    part: tuple[int, int | None] | None = None
    """First byte and the one after the last, as in a slice, of an answer that is kept; see `cut`."""
    if_range: str | None = None
    """The ETag that the answer must have for `part` to count."""
    deadline: float | None = None
    """Seconds from the start of the run."""
    stream: bool = False
    """Send `Output` while the UDF prints."""
    profile: bool = False
    """Measure the time of each line, for the kernel only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The caller of `id` went away. Not answered."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the UDF printed since the last one."""

    id: int
    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A run or request that went well; a value is in the body."""

    id: int
    status: int = 200
    """HTTP status: 200, 204 for an empty tile, 304 when `if_none_match` still holds."""
    media_type: str = ""
    etag: str = ""
    max_age: int = 0
    """Seconds for which the answer may be kept."""
    cached: bool = False
    buffers: tuple[int, ...] = ()
    """Lengths of the parts of the body, for values pickled with out-of-band buffers; empty when it is one part."""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    """How long the UDF ran, encoding not counted."""
    encode_seconds: float = 0.0
    """How long its result took to become bytes."""
    peak_memory: int = 0
    """Bytes that the run needed at most, beyond what its process had before; 0 where it is not known."""
    extension: str = ""
    """How the name of a file with this body ends, without the dot."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers. The UDF may have made them: the server passes on those that it knows to be harmless."""
    domain: tuple[float, float] | None = None
    """The range of values that the encoder chose; the other tiles of the layer should be drawn with it too."""
    start: int = 0
    length: int | None = None
    """Bytes of the whole body, where only the part of it from `start` on is here."""
    profile: Mapping[str, Mapping[str, Sequence[float]]] | None = None
    """By module ("" is the UDF itself) and line: seconds, and bytes by which memory grew."""
    kernel: str = ""
    digest: str = ""
    """The version that ran."""


_OF_THE_RUN = ("stdout", "stderr", "seconds", "peak_memory")
"""What a failure and its error both know of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run or request that failed; `error` is `FusedError.to_wire()`."""

    id: int
    error: Mapping[str, Any]
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    """How long the UDF ran until it failed."""
    peak_memory: int = 0

    @classmethod
    def of(cls, number: int, error: FusedError) -> Self:
        """An error as the answer to message `number`."""
        return cls(id=number, error=error.to_wire(), **{name: getattr(error, name) for name in _OF_THE_RUN})

    def to_error(self) -> FusedError:
        """The error, with what is known of its run."""
        error = FusedError.from_wire(self.error)
        for name in _OF_THE_RUN:
            setattr(error, name, getattr(self, name))
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """The kernel hands over code. `register` makes it what its name means. Answered by `Reply`."""

    id: int
    definition: Mapping[str, Any]
    register: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UdfSummary:
    """What others than the kernel may know of a UDF: all but its code."""

    name: str
    digest: str
    registered_at: float
    """Seconds since the epoch; between kernels the newest one answers for a name."""
    description: str = ""
    schema: Mapping[str, Any]
    """Parameters as JSON Schema (draft 2020-12, type object)."""
    spatial: str | None = None
    """The parameter that takes the tile, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The host tells every server what it has: all of it at first, then what is new. `id` is always 0.

    A server says `Heard` once it has taken it over: only then does the kernel's cell end, so that no request that comes
    after it meets old code.
    """

    udfs: tuple[Mapping[str, Any], ...]
    """`UdfSummary` of each."""
    shares: tuple[str, ...] = ()
    """SHA-256 of every token that opens something, all of them each time."""
    serial: int = 0
    """What `Heard` repeats."""
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A server has taken over the `Published` of this `serial`. Not answered."""

    id: int
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """What is known of all UDFs. Answered by `Described`."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The answer to `Describe`."""

    id: int
    udfs: tuple[Mapping[str, Any], ...]
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the host is. Answered by `Reply` with a JSON body."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The kernel opens one UDF for the token whose SHA-256 is `share`. Answered by `Reply`."""

    id: int
    share: str
    udf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """The kernel closes a token. Answered by `Reply`."""

    id: int
    share: str


Message = (
    Run
    | Cancel
    | Output
    | Reply
    | Failure
    | Publish
    | Published
    | Heard
    | Describe
    | Described
    | Status
    | Grant
    | Revoke
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Run,
        Cancel,
        Output,
        Reply,
        Failure,
        Publish,
        Published,
        Heard,
        Describe,
        Described,
        Status,
        Grant,
        Revoke,
    )
}
_FIELDS: dict[str, dict[str, bool]] = {
    name: {each.name: str(each.type).startswith("tuple") for each in fields(kind)} for name, kind in _KINDS.items()
}
"""By kind and field, whether it is a tuple: JSON makes lists of them."""


def encode(message: Message) -> bytes:
    """The frame header of a message: its kind and its fields, defaults included.

    >>> encode(Cancel(id=7))
    b'["Cancel",{"id":7}]'
    """
    kind = type(message)
    values = {name: getattr(message, name) for name in _FIELDS[kind.__name__]}
    return orjson.dumps([kind.__name__, values], option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def decode(header: bytes) -> Message:
    """The message in a frame header; fields that a newer peer added are passed over.

    Raises:
        ProtocolError: no message of ours.
    """
    try:
        kind, values = orjson.loads(header)
        known = _FIELDS[kind]
        message: Message = _KINDS[kind](
            **{
                name: tuple(value) if known[name] and isinstance(value, list) else value
                for name, value in values.items()
                if name in known
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProtocolError(f"a frame that is no message came: {header[:80]!r}") from exc
    if not isinstance(message.id, int):
        raise ProtocolError(f"a message without a number came: {header[:80]!r}")
    return message
