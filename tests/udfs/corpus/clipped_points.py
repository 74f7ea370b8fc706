# gives: GeoDataFrame 2 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [0, 40, 20, 65]):
    import geopandas as gpd

    gdf = gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=gpd.points_from_xy([4.8, 10.7, -72.0], [45.8, 59.9, -13.5]), crs=4326)
    west, south, east, north = bounds
    return gdf.cx[west:east, south:north]
