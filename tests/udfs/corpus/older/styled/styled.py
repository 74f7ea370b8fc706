# gives: GeoDataFrame 2 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10]):
    import geopandas as gpd
    import shapely

    return gpd.GeoDataFrame({"height": [10, 90]}, geometry=[shapely.box(-8, -8, 0, 0), shapely.box(1, 1, 8, 8)], crs=4326)
