# gives: GeoDataFrame 2 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10], zoom: int = 1):
    common = fused.load("https://github.com/corpus/udfs/tree/SHA/public/common/")
    return common.halves(bounds, zoom=zoom)
