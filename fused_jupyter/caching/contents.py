"""The content of values as one digest: the same for the same content, in any process, on any day; and only then.

Types count: `1`, `1.0`, `True` and `"1"` differ. A value of an unknown kind counts by what pickle would write of it.
How functions, classes and modules count stands in `reach`.
"""

from __future__ import annotations

import copyreg
import hashlib
import marshal
from collections.abc import Callable, Mapping
from typing import Any

Value = Any  # of the user's, whatever it is
Handler = Callable[["Digester", Value], None]
Family = tuple[str, str]
"""(top package, class name) of a class or one of its bases; by names, so that no library is imported to ask."""

_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""What marshal writes alike when it is alike, and only then. Exactly these: a subclass adds to them."""

_LARGE = 1 << 16
"""Bytes from which content is hashed where it lies, not copied."""
_MOST = 50_000
"""Objects, functions and classes in one digest: some tenths of a second, at each call."""


class UnreadableError(Exception):
    """A value whose content cannot be seen; the text says which, and why."""


class Digester:
    """Adds up the content of values.

    Args:
        handler_of: how values of a class are added.

    >>> whole, half = Digester(data_handler), Digester(data_handler)
    >>> whole.add({"n": 1})
    >>> half.add({"n": 1.0})
    >>> whole.hexdigest() == half.hexdigest()
    False
    """

    def __init__(self, handler_of: Callable[[type], Handler]) -> None:
        self._handler_of = handler_of
        self.is_lenient = False
        """Whether what cannot be read counts by its class, as in what code reaches; else it is an error."""
        self._parts: list[bytes] = []
        self._seen: dict[int, tuple[int, Value]] = {}
        """By id, with the order in which they came: values that are open now, and those that are added once."""
        self._once: set[int] = set()

    def hexdigest(self) -> str:
        """SHA-256 of all that was added."""
        return hashlib.sha256(b"".join(self._parts)).hexdigest()

    def put(self, tag: bytes, content: bytes) -> None:
        """Add bytes that mean what the tag says."""
        self._parts.append(b"%s %d:" % (tag, len(content)))
        self._parts.append(content)

    def buffer(self, tag: bytes, content: Any) -> None:  # whatever has contiguous bytes
        """Add bytes that may be many."""
        self.put(tag, hashlib.sha256(content).digest())

    def add(self, value: Value) -> None:
        """Add a value.

        Raises:
            UnreadableError: it is, or holds, something whose content cannot be seen.
        """
        kind = type(value)
        if kind in _SCALARS:
            _scalar(self, value)
            return
        if (seen := self._seen.get(id(value))) is not None:
            self.put(b"again", b"%d" % seen[0])
            return
        self._seen[id(value)] = (len(self._seen), value)
        self._handler_of(kind)(self, value)
        if id(value) not in self._once:
            del self._seen[id(value)]  # equal lists are equal, whether they are one list or two

    def once(self, value: Value) -> None:
        """Say of the value that is added now: where it comes again, its number is enough.

        Code and objects are tied into nets, which have an end only so.
        """
        self._once.add(id(value))
        if len(self._once) > _MOST:
            raise UnreadableError(f"it is tied to more than {_MOST:,} objects, functions and classes")

    def apart(self, value: Value) -> bytes:
        """The digest of a value, which is not added."""
        outside = self._parts, self._seen, self._once
        self._parts, self._seen, self._once = [], dict(self._seen), set(self._once)
        try:
            self.add(value)
            return hashlib.sha256(b"".join(self._parts)).digest()
        finally:
            self._parts, self._seen, self._once = outside


def _scalar(digester: Digester, value: Value) -> None:
    if type(value) is bytes and len(value) > _LARGE:
        digester.buffer(b"bytes", value)
    else:
        digester.put(b"", marshal.dumps(value, 2))  # 2: no references, so sharing and interning do not show


def _sequence(digester: Digester, value: Value) -> None:
    if _SCALARS.issuperset(map(type, value)):
        digester.put(b"", marshal.dumps(value, 2))
        return
    digester.put(type(value).__name__.encode(), b"%d" % len(value))
    for element in value:
        digester.add(element)


def _dict(digester: Digester, value: Value) -> None:
    # Order counts, as a function may go through it in order.
    if _SCALARS.issuperset(map(type, value)) and _SCALARS.issuperset(map(type, value.values())):
        digester.put(b"", marshal.dumps(value, 2))
        return
    digester.put(b"dict", b"%d" % len(value))
    for key, element in value.items():
        digester.add(key)
        digester.add(element)


def _set(digester: Digester, value: Value) -> None:
    digester.put(type(value).__name__.encode(), b"".join(sorted(digester.apart(element) for element in value)))


def _bytes(digester: Digester, value: Value) -> None:
    view = memoryview(value)
    digester.put(type(value).__name__.encode(), repr((view.format, view.shape)).encode())
    digester.buffer(b"", view if view.c_contiguous else view.tobytes())


def _array(digester: Digester, value: Value) -> None:
    if type(value).__name__ != "ndarray":  # a mask, a unit: what subclasses add counts too
        _object(digester, value)
        return
    import numpy as np

    digester.put(b"array", repr((value.shape, value.dtype)).encode())
    if value.dtype.hasobject:
        digester.add(value.ravel().tolist())
    elif value.nbytes:
        digester.buffer(b"", np.ascontiguousarray(value).reshape(-1).view(np.uint8))


def _number(digester: Digester, value: Value) -> None:
    digester.put(b"number", repr((value.dtype, value.tobytes())).encode())


def _frame(digester: Digester, value: Value) -> None:
    """A DataFrame or Series, column by column: how pandas lays it out inside is nobody's content."""
    digester.add(type(value))
    digester.add({name: part for name, part in value.__getstate__().items() if name != "_mgr"})
    digester.add(value.index)
    if value.ndim == 1:
        digester.add(value.array)
        return
    digester.add(value.columns)
    for place in range(value.shape[1]):
        digester.add(value.iloc[:, place].array)


def _column(digester: Digester, value: Value) -> None:
    """An array or a dtype of pandas, without what it only remembers."""
    digester.add((type(value), _without_memory(value.__reduce_ex__(5))))


def _without_memory(reduced: Value) -> Value:
    if isinstance(reduced, tuple):
        return tuple(_without_memory(part) for part in reduced)
    if isinstance(reduced, dict):
        return {name: reduced[name] for name in reduced if name not in {"_cache", "_readonly"}}
    return reduced


def _arrow(digester: Digester, value: Value) -> None:
    import pyarrow as pa

    digester.add(type(value))
    if isinstance(value, pa.Array | pa.ChunkedArray):
        value = pa.table([value], names=[""])
    elif isinstance(value, pa.RecordBatch):
        value = pa.Table.from_batches([value])
    content = _HashedFile()
    with pa.ipc.new_stream(pa.PythonFile(content, mode="w"), value.schema) as stream:  # drops what a slice hides
        stream.write_table(value.combine_chunks())
    digester.put(b"", content.sum.digest())


class _HashedFile:
    """A file that keeps the digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.sum = hashlib.sha256()

    def write(self, content: Any) -> int:  # a buffer of Arrow's
        self.sum.update(content)
        return len(content)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _polars(digester: Digester, value: Value) -> None:
    digester.add(type(value))
    digester.add(value.to_arrow())


def _dataset(digester: Digester, value: Value) -> None:
    for part in (type(value), dict(value.variables), sorted(map(repr, value.coords)), value.attrs, value.encoding):
        digester.add(part)


def _data_array(digester: Digester, value: Value) -> None:
    coordinates = {name: coordinate.variable for name, coordinate in value.coords.items()}
    for part in (type(value), value.name, value.variable, coordinates):
        digester.add(part)


def _variable(digester: Digester, value: Value) -> None:
    for part in (type(value), value.dims, value.data, value.attrs, value.encoding):
        digester.add(part)


def _udf(digester: Digester, value: Value) -> None:
    digester.put(b"udf", value.definition.digest.encode())


def _object(digester: Digester, value: Value) -> None:
    """Anything: by what it says of itself to dask, else by what pickle would write."""
    kind = type(value)
    try:
        if hasattr(kind, "__dask_tokenize__"):
            reduced: Any = (kind, value.__dask_tokenize__())
        else:
            reducer = copyreg.dispatch_table.get(kind)
            reduced = value.__reduce_ex__(5) if reducer is None else reducer(value)
    except Exception as exc:  # the user's own method may raise anything
        if not digester.is_lenient:
            raise UnreadableError(f"{kind.__module__}.{kind.__qualname__}: {exc}") from exc
        reduced = (kind,)
    if isinstance(reduced, str):
        digester.put(b"name", f"{getattr(value, '__module__', '')}.{reduced}".encode())
        return
    if len(reduced) > 2 and reduced[2] is not None:
        digester.once(value)
    digester.put(b"object", b"%d" % len(reduced))
    for part in reduced[:3]:
        digester.add(part)
    for iterator in reduced[3:]:
        digester.add(list(iterator) if hasattr(iterator, "__next__") else iterator)


_EXACT: dict[type, Handler] = {
    list: _sequence,
    tuple: _sequence,
    dict: _dict,
    set: _set,
    frozenset: _set,
    bytearray: _bytes,
    memoryview: _bytes,
}

DATA: dict[Family, Handler] = {
    ("numpy", "ndarray"): _array,
    ("numpy", "generic"): _number,
    ("pandas", "DataFrame"): _frame,
    ("pandas", "Series"): _frame,
    ("pandas", "ExtensionArray"): _column,
    ("pandas", "ExtensionDtype"): _column,
    ("pyarrow", "Table"): _arrow,
    ("pyarrow", "RecordBatch"): _arrow,
    ("pyarrow", "Array"): _arrow,
    ("pyarrow", "ChunkedArray"): _arrow,
    ("polars", "DataFrame"): _polars,
    ("polars", "Series"): _polars,
    ("xarray", "Dataset"): _dataset,
    ("xarray", "DataArray"): _data_array,
    ("xarray", "Variable"): _variable,
    ("fused_jupyter", "Udf"): _udf,
}


def data_handler(kind: type, families: Mapping[Family, Handler] = DATA) -> Handler:
    """How values of a class are added; the most derived class that the table knows decides."""
    if (exact := _EXACT.get(kind)) is not None:
        return exact
    bases = ((base.__module__.partition(".")[0], base.__name__) for base in kind.__mro__)
    return next((families[base] for base in bases if base in families), _object)
