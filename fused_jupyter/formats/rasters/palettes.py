"""Colours by number: pictures of few colours as palette and numbers, ten times faster than by sorting all pixels.

The colours are guessed from some rows, each pixel gets its number by a hash that gives every guessed colour a slot of
its own, and the pixels whose colour is another are mended.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Packed = NDArray[np.uint32]

_SAMPLE_ROWS: Final = 8
_MOST: Final = 256
_FACTORS: Final = (2654435761, 2246822519, 3266489917, 668265263, 374761393, 1597334677, 2891336453, 1181783497)
"""Odd, so that they multiply without loss; the four bytes of one are factors too."""
_OPAQUE: Final = 255
_UNKNOWN: Final = 255
"""The number of a hash that no known colour has."""


def number_colours(bands: Pixels, alpha: Pixels | None) -> tuple[Pixels, Pixels] | None:
    """The picture as numbers of colours and their palette; None where it has many colours.

    Args:
        bands: red, green and blue, shape (3, height, width).
        alpha: shape (height, width); None: opaque.

    Returns:
        Numbers of shape (height, width), and colours of shape (colours, 4).
    """
    planes = [*bands] if alpha is None else [*bands, alpha]
    step = max(1, bands.shape[1] // _SAMPLE_ROWS)
    known = _distinct(_pack([plane[step // 2 :: step] for plane in planes]))
    if len(known) > _MOST:
        return None
    guess = _guess_by_bytes(planes, known) or _guess_by_words(planes, known)
    if guess is None:
        return None
    numbers, wrong = guess
    if wrong.size:
        surprises = _pack([plane.ravel()[wrong] for plane in planes])
        unknown = _distinct(surprises)
        if len(known) + len(unknown) > _MOST:
            return None
        numbers = numbers.copy()
        numbers.ravel()[wrong] = len(known) + np.searchsorted(unknown, surprises)
        known = np.concatenate([known, unknown])
    return numbers, _unpack(known)


def used_numbers(numbers: Pixels) -> NDArray[np.intp]:
    """The numbers that some of the rows have; others may have more."""
    step = max(1, len(numbers) // _SAMPLE_ROWS)
    return np.flatnonzero(np.bincount(numbers[step // 2 :: step].ravel(), minlength=256))


def _pack(planes: list[Pixels]) -> Packed:
    packed = np.full(planes[0].shape, _OPAQUE, np.uint32) if len(planes) == 3 else planes[3].astype(np.uint32)
    for plane in planes[2::-1]:
        packed <<= np.uint32(8)
        packed |= plane
    return packed


def _unpack(packed: Packed) -> Pixels:
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)


def _distinct(packed: Packed) -> Packed:
    # As np.unique, which takes eight times as long for a few thousand numbers.
    ascending = np.sort(packed, axis=None)
    is_new = np.append(np.True_, ascending[1:] != ascending[:-1])
    return np.asarray(ascending[is_new])


def _guess_by_bytes(planes: list[Pixels], known: Packed) -> tuple[Pixels, NDArray[np.intp]] | None:
    """Numbers by a hash of 8 bits, and the pixels where they are wrong; None where no hash fits."""
    colours = _unpack(known)
    for factor in _FACTORS:
        factors = np.array([factor], "<u4").view(np.uint8) | np.uint8(1)
        slots = (colours * factors).sum(axis=1, dtype=np.uint8)
        if len(set(slots.tolist())) == len(known) <= _UNKNOWN:
            break
    else:
        return None
    hashes = planes[0] * factors[0]
    for plane, byte in zip(planes[1:], factors[1:], strict=False):
        hashes += plane * byte
    if len(planes) == 3:
        slots -= np.uint8(_OPAQUE * int(factors[3]) & 0xFF)
    table = np.full(256, _UNKNOWN, np.uint8)
    table[slots] = np.arange(len(known))
    # Bytes, not arrays: searches through them run at the speed of memory.
    body = hashes.tobytes().translate(table.tobytes())
    numbers = np.frombuffer(body, np.uint8).reshape(hashes.shape)
    wrong = numbers == _UNKNOWN
    # All planes but the last: with odd factors, the hash and the others leave but one value for it.
    for plane, channel in zip(planes[:-1], colours.T, strict=False):
        table[: len(known)] = channel
        wrong |= np.frombuffer(body.translate(table.tobytes()), np.uint8).reshape(hashes.shape) != plane
    return numbers, np.flatnonzero(wrong)


def _guess_by_words(planes: list[Pixels], known: Packed) -> tuple[Pixels, NDArray[np.intp]] | None:
    """As `_guess_by_bytes`, by a hash of 16 bits: half as fast, and enough for any palette."""
    shift = np.uint32(16)
    factor = next((each for each in _FACTORS if len(_distinct(known * np.uint32(each) >> shift)) == len(known)), None)
    if factor is None:
        return None
    table = np.zeros(1 << 16, np.uint8)
    table[known * np.uint32(factor) >> shift] = np.arange(len(known))
    packed = _pack(planes)
    numbers = np.take(table, packed * np.uint32(factor) >> shift, mode="clip")
    return numbers, np.flatnonzero(np.take(known, numbers, mode="clip") != packed)
