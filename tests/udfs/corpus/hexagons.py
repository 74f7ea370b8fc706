# gives: DataFrame 7 x 2
@fused.udf
def udf(bounds: fused.types.Bounds = [-122.1, 36.9, -121.9, 37.1], res: int = 6):
    import h3
    import pandas as pd

    lng, lat = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    cells = sorted(h3.grid_disk(h3.latlng_to_cell(lat, lng, res), 1))
    return pd.DataFrame({"hex": cells, "count": range(len(cells))})
