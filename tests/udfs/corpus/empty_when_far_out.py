# gives: None
@fused.udf
def udf(bounds: fused.types.Bounds = [-180, -60, 180, 75], min_zoom: int = 12):
    import geopandas as gpd
    import shapely

    if bounds[2] - bounds[0] > 360 / 2**min_zoom:
        print("zoom in")
        return None
    return gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.box(*bounds)], crs=4326)
