# gives: DataFrame 1 x 2
def duckdb_connect():
    import duckdb

    con = duckdb.connect()
    con.sql("INSTALL httpfs; LOAD httpfs; INSTALL spatial; LOAD spatial; INSTALL h3 FROM community; LOAD h3;")
    return con


@fused.udf
def udf(bounds: fused.types.Bounds = [-122.5, 37.7, -122.4, 37.8], resolution: int = 5):
    import pandas as pd

    points = pd.DataFrame({"lat": [37.75, 37.751], "lng": [-122.45, -122.451]})
    return duckdb_connect().sql(f'''
        SELECT h3_h3_to_string(h3_latlng_to_cell(lat, lng, {resolution})) AS hex, count(*) AS cnt FROM points GROUP BY 1
    ''').df()
