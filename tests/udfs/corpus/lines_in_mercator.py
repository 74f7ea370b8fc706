# gives: GeoDataFrame 1 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-1, -1, 1, 1]):
    import geopandas as gpd
    import shapely

    line = gpd.GeoDataFrame({"name": ["diagonal"]}, geometry=[shapely.LineString([(bounds[0], bounds[1]), (bounds[2], bounds[3])])], crs=4326)
    return line.to_crs(line.estimate_utm_crs())
