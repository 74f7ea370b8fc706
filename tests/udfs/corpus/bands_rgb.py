# gives: ndarray uint8 3 x 64 x 64
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10], chip_len: int = 64):
    import numpy as np

    y, x = np.mgrid[0:chip_len, 0:chip_len]
    return np.stack([x * 3, y * 3, (x + y) % 256]).astype("uint8")
