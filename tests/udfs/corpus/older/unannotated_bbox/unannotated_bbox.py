# gives: GeoDataFrame 1 x 2
@fused.udf
def udf(bbox=None, n: int = 1):
    import geopandas as gpd
    import shapely

    area = bbox.geometry.iloc[0] if hasattr(bbox, "geometry") else shapely.box(-1, -1, 1, 1)
    return gpd.GeoDataFrame({"n": [n]}, geometry=[area], crs=4326)
