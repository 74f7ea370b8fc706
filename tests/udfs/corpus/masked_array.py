# gives: MaskedArray float32 16 x 16
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10]):
    import numpy as np

    arr = np.arange(256, dtype="float32").reshape(16, 16)
    return np.ma.masked_less(arr, 20)
