# gives: tuple
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10], band: int = 1):
    import numpy as np

    arr = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype("uint8") * band
    return arr, bounds
