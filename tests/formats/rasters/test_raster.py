from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fused_jupyter.formats.rasters.raster import Raster, missing_pixels


def test_nodata_must_be_in_all_bands() -> None:
    """Pure red is no hole in a picture whose nodata is 0; NaN in one band is."""
    data = np.ones((3, 1, 4), np.float32)
    data[:, 0, 0] = 0
    data[1:, 0, 1] = 0
    data[2, 0, 2] = np.nan

    missing = missing_pixels(Raster(data=data, nodata=0), slice(None))

    assert np.asarray(missing).tolist() == [[True, False, True, False]]


@pytest.mark.parametrize(
    ("dtype", "nodata", "hidden"),
    [
        (np.uint8, 255.0, [255]),
        (np.uint8, -9999.0, []),
        (np.uint8, 0.5, []),
        (np.int64, -(2.0**53), [-(2**53)]),
        (np.float32, -3.4028234663852886e38, [np.finfo(np.float32).min]),
        (np.float32, 0.1, [np.float32(0.1)]),
        (np.float32, 1e300, [np.inf]),
        (np.float16, np.inf, [np.inf]),
        (np.float64, np.nan, [np.nan]),
        (np.bool_, 1.0, []),
    ],
)
def test_nodata_is_compared_in_the_type_of_the_pixels(dtype: Any, nodata: float, hidden: list[Any]) -> None:
    """A value that no pixel can have hides nothing, and that is no error."""
    data = np.array([[[*hidden, 1]]], dtype)

    missing = missing_pixels(Raster(data=data, nodata=nodata), slice(None))

    assert np.count_nonzero(np.asarray(missing)) == len(hidden) if missing is not None else not hidden
