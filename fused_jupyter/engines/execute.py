"""The one place where a UDF is called: code by digest, typed arguments, the call, the answer in bytes."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import linecache
import os
import pickle
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fused_jupyter.engines.annotations import code_of
from fused_jupyter.engines.arguments import bound_arguments, typed_arguments
from fused_jupyter.engines.headers import OwnModules, only_looking, remember_all_lines, remember_lines
from fused_jupyter.engines.memory import PeakMemory
from fused_jupyter.engines.nesting import Asked, File, Level
from fused_jupyter.engines.sampling import LineSampler
from fused_jupyter.engines.spatial import Area
from fused_jupyter.engines.variables import used_variables
from fused_jupyter.errors import FusedError, UdfMemoryError, UdfRuntimeError, UdfSerializationError
from fused_jupyter.formats import STYLE_NAMES, Style, Target, TileFrame, Wanted, encode
from fused_jupyter.tiles import Tile
from fused_jupyter.udfs import UdfDefinition
from fused_jupyter.wire import Reply, Run

Pieces = Sequence[bytes | memoryview]
Notebook = Mapping[str, Any]
"""Variables of a notebook, by name."""


class Growth(Protocol):
    """Measures what a run needs."""

    @property
    def growth(self) -> int:
        """Bytes, at most, beyond what the process had before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a UDF gave."""

    value: Any
    seconds: float
    """How long the call took, top-level code of the cell included."""
    files: tuple[File, ...] = ()
    """What it depends on beside code and arguments."""


def execute(
    definition: UdfDefinition,
    run: Run,
    arguments: Mapping[str, Any],
    *,
    memory: Growth | None = None,
    notebook: Notebook | None = None,
) -> tuple[Reply, Pieces]:
    """Run a UDF and give its answer as bytes.

    Args:
        definition: the code.
        run: the request; its tile, its format.
        arguments: text from HTTP, or Python objects from the kernel.
        memory: what measures the run, where it began before.
        notebook: where names are looked up that the UDF's cell does not define, for a run in the kernel.

    Returns:
        The reply, and its body in one or more pieces.

    Raises:
        ArgumentError: an argument does not fit.
        UdfRuntimeError: the UDF raised.
        UdfSerializationError: nothing can carry what it returned.
        FormatError: the format that was asked for is unknown, or cannot.
    """
    memory = memory or PeakMemory()
    tile = None if run.tile is None else Tile(*run.tile)
    if run.returns == "object":
        return _as_object(definition, run, arguments, tile=tile, memory=memory, notebook=notebook)
    # What the request gets wrong is said before the UDF runs for minutes.
    wanted = Wanted.of(run.extension, run.format, run.dtype_out_raster, run.dtype_out_vector, run.accept)
    own = {parameter.name for parameter in definition.parameters}
    drawing = {name: value for name, value in arguments.items() if name in STYLE_NAMES - own}
    target = Target(tile=None if tile is None else _frame(tile), style=Style.of(drawing), domain=run.domain)
    own_arguments = {name: value for name, value in arguments.items() if name not in drawing}
    with Asked(run.headers):
        called = call(definition, own_arguments, tile=tile, notebook=notebook)
    started = time.perf_counter()
    encoded = encode(called.value, wanted=wanted, target=target)
    reply = Reply(
        id=run.id,
        status=encoded.status,
        media_type=encoded.media_type,
        seconds=called.seconds,
        encode_seconds=time.perf_counter() - started,
        extension=encoded.extension,
        headers=dict(encoded.headers),
        domain=encoded.domain,
        peak_memory=memory.growth,
        files=called.files,
    )
    return reply, [encoded.body]


def call(
    definition: UdfDefinition,
    arguments: Mapping[str, Any],
    *,
    tile: Tile | None = None,
    notebook: Notebook | None = None,
) -> Called:
    """Call a UDF and give what it returns, in this process.

    Raises:
        ArgumentError: an argument does not fit.
        UdfRuntimeError: the UDF raised.
        UdfRecursionError: too many UDFs run each other already.
        KeyboardInterrupt: in the kernel, where Ctrl-C is for the UDF.
    """
    with Level(definition.name, definition) as level:
        called = _call(definition, arguments, tile, notebook)
    return replace(called, files=level.files) if level.files else called


def _call(
    definition: UdfDefinition, arguments: Mapping[str, Any], tile: Tile | None, notebook: Notebook | None
) -> Called:
    area = None if tile is None else Area.of_tile(tile)
    errors = _UdfErrors(definition) if notebook is None else _UdfErrorsInKernel(definition)
    with errors:  # before the cell's top-level code, which may take its time
        bound = bound_arguments(definition, arguments, area)
    module = _new_module(definition)
    # The UDF's module and its header modules are importable for as long as it runs.
    with OwnModules(definition, module).importable(), _Inside(definition.directory):
        started = time.perf_counter()
        with errors:
            if definition.uses:
                module.__dict__.update(used_variables(definition))
            if notebook is not None:
                _look_up_in(notebook, module)
            function = _load(definition, module)
            value = function(**typed_arguments(function, definition.parameters, bound))
        return Called(value=value, seconds=time.perf_counter() - started)


def top_level(definition: UdfDefinition) -> types.ModuleType:
    """The UDF's module once its top-level code has run, in this process; its header modules are attributes of it too.

    What `@fused.udf` marks there is a UDF, and registered nowhere.

    Raises:
        UdfRuntimeError: the code raised.
    """
    module = _new_module(definition)
    own = OwnModules(definition, module)

    def header(name: str) -> types.ModuleType:
        if name not in own.sources:
            raise AttributeError(f"the UDF {definition.name} defines no {name!r}", name=name, obj=module)
        with _looked_at(definition, own):
            return own.module(name)

    module.__dict__["__getattr__"] = header
    with _looked_at(definition, own):
        module.__dict__.update(used_variables(definition))
        exec(code_of(definition), module.__dict__)  # noqa: S102 - what this product does
    return module


@contextlib.contextmanager
def _looked_at(definition: UdfDefinition, own: OwnModules) -> Iterator[None]:
    before = only_looking.set(True)
    try:
        with own.importable(), _UdfErrors(definition):
            yield
    finally:
        only_looking.reset(before)


def _as_object(
    definition: UdfDefinition,
    run: Run,
    arguments: Mapping[str, Any],
    *,
    tile: Tile | None,
    memory: Growth,
    notebook: Notebook | None,
) -> tuple[Reply, Pieces]:
    """The answer for the kernel, with the time of each line if it asks for it."""
    sampler = LineSampler(definition.filename) if run.profile else None
    with sampler or contextlib.nullcontext():
        called = call(definition, arguments, tile=tile, notebook=notebook)
    pieces = _pickled(called.value, definition)
    reply = Reply(
        id=run.id,
        seconds=called.seconds,
        buffers=tuple(len(piece) for piece in pieces),
        profile=sampler.modules if sampler else None,
        peak_memory=memory.growth,
        files=called.files,
    )
    return reply, pieces


def _frame(tile: Tile) -> TileFrame:
    return TileFrame(z=tile.z, x=tile.x, y=tile.y, bounds=tile.bounds, mercator_bounds=tile.mercator_bounds)


def _load(definition: UdfDefinition, module: types.ModuleType) -> Callable[..., Any]:
    """The function, from fresh globals: what one call leaves behind, the next does not see."""
    exec(code_of(definition), module.__dict__)  # noqa: S102 - what this product does
    function: Any = module.__dict__[definition.entrypoint]
    if hasattr(type(function), "definition"):
        function = function.__wrapped__  # `@fused.udf` made a Udf of it; other decorators are the user's wish
    wrapped: Callable[..., Any] = function
    return wrapped


def _new_module(definition: UdfDefinition) -> types.ModuleType:
    module = types.ModuleType(f"udf_{definition.name}")
    fused = importlib.import_module("fused_jupyter")
    names = {"fused": fused, "fused_jupyter": fused, "udf": fused.udf}  # in whichever way the decorator is written
    module.__dict__.update(names)
    remember_lines(definition)
    return module


def _look_up_in(notebook: Notebook, module: types.ModuleType) -> None:
    """Let names that the module does not define be those of a notebook, before they are Python's own.

    A copy, made where Python looks last: a dict of another kind as globals would make each look slower.
    """
    own = module.__dict__.get("__builtins__", {})  # with the import of the UDF's header modules
    seen = {name: value for name, value in tuple(notebook.items()) if not name.startswith("__")}
    module.__dict__["__builtins__"] = {**vars(builtins), **seen, **{n: own[n] for n in ("__import__",) if n in own}}


class _Inside:
    """Relative paths and local modules are those of the notebook."""

    def __init__(self, directory: str) -> None:
        self._directory = directory if directory and os.path.isdir(directory) else ""  # noqa: PTH112 - hot path, no Path object needed

    def __enter__(self) -> None:
        if self._directory:
            os.chdir(self._directory)  # each time: the UDF before may have gone elsewhere, or removed where it was
            sys.path.insert(0, self._directory)

    def __exit__(self, *_: object) -> None:
        if self._directory:
            with contextlib.suppress(ValueError):
                sys.path.remove(self._directory)


class _UdfErrors:
    """What the UDF raises becomes a `UdfRuntimeError` made of text: the exception itself may not even pickle."""

    # A class, as generators that are context managers cost four times as much, and each call enters three of them.

    def __init__(self, definition: UdfDefinition) -> None:
        self._definition = definition

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, frames: types.TracebackType | None
    ) -> None:
        if isinstance(exc, FusedError):
            exc.with_udf(self._definition.name)  # of our own API inside the UDF: it already says what is wrong
            if _is_of(self._definition, frames):  # and is no fault of whoever asks: they may not be told it
                exc.child_exception_class = exc.child_exception_class or type(exc).__name__
        elif exc is not None:  # sys.exit and KeyboardInterrupt inside a UDF cost this call only
            raise _described(exc, self._definition) from None


def _is_of(definition: UdfDefinition, frames: types.TracebackType | None) -> bool:
    """Whether the UDF's own code was at work, not that which reads its arguments."""
    while frames is not None and frames.tb_frame.f_code.co_filename != definition.filename:
        frames = frames.tb_next
    return frames is not None


class _UdfErrorsInKernel(_UdfErrors):
    """The same where Ctrl-C stops the cell that runs the UDF; it comes to the main thread only."""

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, frames: types.TracebackType | None
    ) -> None:
        if not isinstance(exc, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
            super().__exit__(kind, exc, frames)


def _described(exc: BaseException, definition: UdfDefinition) -> UdfRuntimeError:
    remember_all_lines(definition)
    own = [frame for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == definition.filename]
    line = own[-1].lineno if own else None
    if line is None and isinstance(exc, SyntaxError) and exc.filename == definition.filename:
        line = exc.lineno
    message = _message(exc)
    if isinstance(exc, NameError) and not definition.runs_in_kernel:
        message += _NAME_HINT
    kind = UdfMemoryError if isinstance(exc, MemoryError) else UdfRuntimeError
    return kind(
        message,
        udf=definition.name,
        line=line,
        source_line=linecache.getline(definition.filename, line).rstrip() if line else None,
        traceback=_trimmed(exc),
        child_exception_class=type(exc).__name__,
    )


def _message(exc: BaseException) -> str:
    try:
        text = str(exc)
    except BaseException:  # noqa: BLE001 - the user's own __str__
        text = "its text cannot be made"
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[:_LONGEST_MESSAGE]}… ({len(text)} characters)"
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


_LONGEST_MESSAGE = 8000
"""Characters. Some exceptions carry the data that they are about."""

_NAME_HINT = (
    ". A UDF sees only its own cell and `fused`: import or load it inside the function, put it beside the function in "
    "the %%fused_udf cell, pass it as a parameter, or bring it in from the notebook with --use"
)


def _trimmed(exc: BaseException) -> str:
    """The traceback from the UDF's first line on, without the frames of this package."""
    frame = exc.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith("<udf "):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frame or exc.__traceback__))[-20_000:]


def _pickled(value: Any, definition: UdfDefinition) -> list[bytes | memoryview]:
    """The value for the kernel: a pickle and, beside it, the arrays uncopied (PEP 574)."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        return [stream, *(buffer.raw() for buffer in buffers)]
    except MemoryError:
        raise  # the worker says how much there may be
    except BaseException as exc:  # __reduce__ is the user's code and may raise anything
        raise UdfSerializationError(
            f"the UDF returned {type(value).__module__}.{type(value).__qualname__}, which cannot leave its process "
            f"({_message(exc)}); return data, e.g. a DataFrame, an array, a dict or bytes",
            udf=definition.name,
        ) from exc
