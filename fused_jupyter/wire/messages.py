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
    run_id: str = ""
    """What the host calls the run, in answers, logs and lists; the host fills it in."""
    udf: str = ""
    """Name; empty where `share` says which UDF, but not for the token of a collection."""
    digest: str | None = None
    """The version that is wanted; where it is None or not known any more, the newest registration of that name runs."""
    share: str | None = None
    """SHA-256 of a token in hex; the host looks up what it opens."""
    slots: int = 0
    """Workers that whoever has this token may hold at a time, where it says so; the host fills it in."""
    client: str = ""
    """Who asks, among those who take turns: a short name that says nothing; never a secret, never an address."""
    tile: tuple[int, int, int] | None = None
    """(z, x, y); None runs the UDF as a file."""
    parameters: Mapping[str, Any] | None = None
    """Arguments as they came: text over HTTP. None when they are pickled in the body (kernel only)."""
    arguments_digest: str = ""
    """Of pickled arguments, what tells them from others; empty where nothing does, and then nothing is kept."""
    arguments_text: str = ""
    """Of pickled arguments, what lists of kept results show."""
    extension: str | None = None
    format: str | None = None
    dtype_out_raster: str | None = None
    dtype_out_vector: str | None = None
    accept: str | None = None
    """The header, where the request names a format in no other way."""
    headers: Mapping[str, str] | None = None
    """Others of the request, in small letters; the host drops them where the code of the UDF asks for none."""
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
    arena: bool = False
    """The result may come by the memory that caller and worker share, see `Share`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The caller of `id` went away. Not answered."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Stop a run, whoever asked for it. Answered by `Reply`; from the host to its kernel `id` is 0, and not answered.

    Who waits for the run gets a `CancelledRunError`.
    """

    run_id: str
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was done without the host since the last one. Not answered; `id` is always 0.

    By the kernel with leased workers, or by a server that had kept the answer.
    """

    tallies: Mapping[str, Any] = field(default_factory=dict)
    """From the kernel: `Activity.take()`."""
    answered: Mapping[str, int] = field(default_factory=dict)
    """From a server: how many requests it answered alone, by digest."""
    id: int = 0


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
    run_id: str = ""
    """The run that made the answer, also where it is kept from earlier."""
    is_told: bool = False
    """Whether somebody with a token may see what the UDF printed; of failures, also its traceback."""
    source: str = ""
    """Where the answer comes from: `miss` for a run, `joined` for one that somebody else had asked for,
    `hit-memory`, `hit-disk`, or `server` for one that the Jupyter server had kept."""
    queue_seconds: float = 0.0
    """How long this request waited for a worker."""
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
    files: tuple[Sequence[Any], ...] = ()
    """From the worker: the user's own modules that the run may have used, each as path, time of its last change in
    nanoseconds, and size."""
    recheck: bool = False
    """Whether only the host can tell if the answer still holds, so that nobody else may give it again."""
    profile: Mapping[str, Mapping[str, Sequence[float]]] | None = None
    """By module ("" is the UDF itself) and line: seconds, and bytes by which memory grew."""
    kernel: str = ""
    digest: str = ""
    """The version that ran."""


_OF_THE_RUN = ("stdout", "stderr", "seconds", "peak_memory", "run_id", "queue_seconds", "is_told")
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
    run_id: str = ""
    queue_seconds: float = 0.0
    is_told: bool = False
    """As in `Reply`."""

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
    controls: tuple[Mapping[str, Any], ...] = ()
    """What sets the other parameters on a map: a `ControlSpec` each."""


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
    epoch: int = 0
    """Answers that a server got under another number may not be given any more."""
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
    epoch: int = 0
    """As in `Published`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the host is. Answered by `Reply` with a JSON body."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables that UDFs get beyond those that the kernel had, all of them each time.

    From the kernel to its host, which answers with `Reply`; from the host to a worker before a run, not answered.
    """

    id: int
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeResults:
    """What the kernel wants to know of the result cache. Answered by `Reply` with a JSON body."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResults:
    """The kernel wants to see the newest kept results. Answered by `Reply` with a JSON body."""

    id: int
    udf: str | None = None
    """Those of one UDF."""
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResults:
    """The kernel deletes kept results. Answered by `Reply` with the number of them as JSON."""

    id: int
    udf: str | None = None
    """Those of one UDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The server asks the host of saved UDFs for something, for its owner. Answered by `Reply` with a JSON body."""

    id: int
    what: str
    """Family and name, as `udfs.find`; see `runtime/desk.py`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeShare:
    """What a token opens. Answered by `Reply` with a JSON body: `kind`, `udfs` as in `Published`, `limits`."""

    id: int
    share: str
    """SHA-256 of the token in hex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The kernel opens one UDF for the token whose SHA-256 is `share`. Answered by `Reply`."""

    id: int
    share: str
    udf: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    """`Limits.to_json()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """The kernel closes a token. Answered by `Reply`."""

    id: int
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The kernel wants a worker for itself, to send its runs straight to it. Answered by `Reply`.

    The worker's descriptors have come over the lane, the socket that both inherit, by then; `id` is with them.
    """

    id: int
    digest: str
    """The code of the first run: a worker that has it is preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The kernel wants a leased worker to share memory with it, whose descriptor comes along with the next answer."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """The kernel returns the worker of a lease. Answered by `Reply`, or by the `Failure` that tells how it was lost."""

    id: int
    lease: int
    """The `id` of the `Lease`."""
    known: tuple[str, ...] = ()
    """Digests of the code that it has got meanwhile."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of its runs: how many there were, failed, took too long or were cancelled."""
    lost: str = ""
    """The UDF in which it died, if it did."""
    kill: bool = False
    """Whether it still runs what nobody waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """The host asks for a leased worker: others wait. `id` is always 0; answered by `GiveBack` when it is idle."""

    lease: int
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRun:
    """The host asks its kernel to run a UDF in the kernel itself. `id` is always 0; answered by `KernelAnswer`."""

    number: int
    run: str
    """A `Run`, encoded. Where its arguments are pickled the kernel has them: it is its own call `Run.id`."""
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAnswer:
    """What came of a `KernelRun`; the body is that of the answer. Answered by `Reply`."""

    id: int
    number: int
    answer: str
    """A `Reply` or a `Failure`, encoded."""


Message = (
    Run
    | Cancel
    | Stop
    | Noted
    | Output
    | Reply
    | Failure
    | Publish
    | Published
    | Heard
    | Describe
    | Described
    | Status
    | Environment
    | DescribeResults
    | ListResults
    | DeleteResults
    | Ask
    | DescribeShare
    | Grant
    | Revoke
    | Lease
    | Share
    | GiveBack
    | Recall
    | KernelRun
    | KernelAnswer
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Run,
        Cancel,
        Stop,
        Noted,
        Output,
        Reply,
        Failure,
        Publish,
        Published,
        Heard,
        Describe,
        Described,
        Status,
        Environment,
        DescribeResults,
        ListResults,
        DeleteResults,
        Ask,
        DescribeShare,
        Grant,
        Revoke,
        Lease,
        Share,
        GiveBack,
        Recall,
        KernelRun,
        KernelAnswer,
    )
}
_TUPLES: dict[str, frozenset[str]] = {
    name: frozenset(each.name for each in fields(kind) if str(each.type).startswith("tuple"))
    for name, kind in _KINDS.items()
}
"""By kind, the fields that are tuples: JSON makes lists of them."""
_DEFAULTS: dict[str, dict[str, Any]] = {
    name: {each.name: each.default for each in fields(kind)} for name, kind in _KINDS.items()
}


def encode(message: Message) -> bytes:
    """The frame header of a message: its kind and its fields, without those that have their default.

    >>> encode(Cancel(id=7))
    b'["Cancel",{"id":7}]'
    """
    kind = type(message).__name__
    values = {
        name: value
        for name, default in _DEFAULTS[kind].items()
        if (value := getattr(message, name)) is not default  # a default that is another object travels, no more
    }
    return orjson.dumps([kind, values], option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def decode(header: bytes) -> Message:
    """The message in a frame header; fields that a newer peer added are passed over.

    Raises:
        ProtocolError: no message of ours.
    """
    try:
        kind, values = orjson.loads(header)
        defaults = _DEFAULTS[kind]
        if not values.keys() <= defaults.keys():
            values = {name: value for name, value in values.items() if name in defaults}
        for name in _TUPLES[kind] & values.keys():
            values[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
        message: Message = _KINDS[kind](**values)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProtocolError(f"a frame that is no message came: {header[:80]!r}") from exc
    if not isinstance(message.id, int):
        raise ProtocolError(f"a message without a number came: {header[:80]!r}")
    return message
