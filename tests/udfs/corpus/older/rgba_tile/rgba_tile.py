# gives: ndarray uint8 4 x 256 x 256
@fused.udf
def udf(bbox: fused.types.Tile, color: str = "0,128,255"):
    import numpy as np

    rgba = np.zeros((4, 256, 256), "uint8")
    rgba[:3] = np.array([int(each) for each in color.split(",")], "uint8")[:, None, None]
    rgba[3, 32:-32, 32:-32] = 255
    return rgba
