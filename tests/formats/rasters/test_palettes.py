from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.formats.rasters import palettes
from fused_jupyter.formats.rasters.palettes import number_colours

SEEDS = st.integers(0, 2**32 - 1)


def colourful(seed: int, colours: int, height: int, width: int) -> tuple[Any, Any]:
    """Pixels of so many colours at most, shape (height, width, 4), and how many there really are."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (colours, 4), np.uint8)
    # Some colours are rare, so that the rows that are looked at first do not have them.
    numbers = np.minimum(random.geometric(0.2, (height, width)) - 1, colours - 1)
    return palette[numbers], len(np.unique(palette[np.unique(numbers)], axis=0))


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, colours=st.integers(1, 256), height=st.integers(1, 70), width=st.integers(1, 70))
def test_numbers_and_palette_are_the_picture(seed: int, colours: int, height: int, width: int) -> None:
    """Of up to 256 colours none is lost, none is mistaken, and none is there twice."""
    pixels, count = colourful(seed, colours, height, width)
    planes = np.moveaxis(pixels, 2, 0)

    numbered = number_colours(planes[:3], planes[3])

    assert numbered is not None
    numbers, palette = numbered
    assert np.array_equal(palette[numbers], pixels)
    assert len(palette) == count


@pytest.mark.parametrize("colours", [3, 20, 60, 250])
def test_without_alpha_all_is_opaque(colours: int) -> None:
    """Three bands have colours of four."""
    pixels, _ = colourful(1, colours, 64, 64)

    numbers, palette = number_colours(np.moveaxis(pixels[..., :3], 2, 0), None) or (None, None)

    assert np.array_equal(palette[numbers][..., :3], pixels[..., :3])
    assert (palette[:, 3] == 255).all()


def test_photographs_are_left_alone() -> None:
    """Also where the first rows do not look like one."""
    photograph = np.random.default_rng(0).integers(0, 256, (3, 60, 60), np.uint8)
    below_a_sky = photograph.copy()
    below_a_sky[:, ::2] = below_a_sky[:, 5::10] = 200

    assert number_colours(photograph, None) is None
    assert number_colours(below_a_sky, None) is None


def test_without_a_fitting_hash_there_is_no_palette(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is written as any other picture."""
    monkeypatch.setattr(palettes, "_FACTORS", ())
    pixels, _ = colourful(0, 9, 20, 20)

    assert number_colours(np.moveaxis(pixels[..., :3], 2, 0), None) is None
