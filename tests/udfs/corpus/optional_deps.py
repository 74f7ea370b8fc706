# gives: GeoDataFrame 1 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10]):
    from fused._optional_deps import GPD_GEODATAFRAME, HAS_GEOPANDAS, HAS_MERCANTILE, HAS_SHAPELY
    import shapely

    assert HAS_GEOPANDAS and HAS_MERCANTILE and HAS_SHAPELY
    return GPD_GEODATAFRAME({"n": [1], "geometry": [shapely.box(*bounds)]}, geometry="geometry", crs=4326)
