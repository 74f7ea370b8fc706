# gives: DataFrame 2 x 2
@fused.udf
def udf(bbox: fused.types.TileGDF = None, resolution: int = 7):
    from utils import SCALE, scaled

    return scaled(resolution).assign(scale=SCALE)
