"""The inner loops of vector tiles, by numpy or compiled: the same bytes, in a third to a tenth of the time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from numpy.typing import NDArray

from fused_jupyter.formats.mvt import protobuf, thin
from fused_jupyter.formats.mvt.protobuf import Bytes, Ints, Roles, Tokens

_COMPILED: Final = f"{__package__}.protobuf_kernel"
_MANY_POINTS: Final = 4000
"""From here on loading compiled loops pays; below, it would cost a small tile more than they save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """See `thin` for what the first two do, `protobuf` for the others."""

    thin_paths: Callable[[Ints, Ints, Roles, int], tuple[Ints, Ints]]
    are_suspicious: Callable[[Ints, Ints, Roles, Ints], NDArray[Any]]
    encode_paths: Callable[[Ints, Ints, Roles, Ints], tuple[Tokens, Ints]]
    encode_features: Callable[[Tokens, Ints, Tokens, Ints, Tokens, Ints], bytes]
    write_texts: Callable[[Bytes, Ints], bytes]
    write_integers: Callable[[Ints], bytes]


NUMPY: Final = Kernel(
    thin_paths=thin.thin_paths,
    are_suspicious=thin.are_suspicious,
    encode_paths=protobuf.encode_paths,
    encode_features=protobuf.encode_features,
    write_texts=protobuf.write_texts,
    write_integers=protobuf.write_integers,
)


@lru_cache(maxsize=1)
def best_kernel() -> Kernel:
    """The compiled loops where numba works, else those of numpy."""
    try:
        from fused_jupyter.formats.mvt import protobuf_kernel, thin_kernel
    except (ImportError, RuntimeError):  # not installed, too old for this numpy, or no place for its cache
        return NUMPY
    return Kernel(
        thin_paths=thin_kernel.thin_paths,
        are_suspicious=thin_kernel.are_suspicious,
        encode_paths=protobuf_kernel.encode_paths,
        encode_features=protobuf_kernel.encode_features,
        write_texts=protobuf_kernel.write_texts,
        write_integers=protobuf_kernel.write_integers,
    )


def kernel_for(points: int) -> Kernel:
    """The loops that are the cheapest for so many points in this process, as it is."""
    return best_kernel() if points >= _MANY_POINTS or _COMPILED in sys.modules else NUMPY
