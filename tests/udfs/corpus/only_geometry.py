# gives: GeoSeries geometry 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10]):
    import geopandas as gpd
    import shapely

    gdf = gpd.GeoDataFrame(geometry=[shapely.box(-5, -5, 0, 0), shapely.box(1, 1, 6, 6)], crs=4326)
    return gdf.geometry
