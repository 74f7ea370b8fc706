# gives: ndarray uint8 4 x 32 x 32
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10], color_scale: str = "viridis", min_max: list = [0, 1000]):
    import numpy as np
    from matplotlib import colormaps

    height = np.linspace(min_max[0], min_max[1], 32 * 32).reshape(32, 32)
    scaled = (height - min_max[0]) / (min_max[1] - min_max[0])
    return (np.moveaxis(colormaps[color_scale](scaled), -1, 0) * 255).astype("uint8")
