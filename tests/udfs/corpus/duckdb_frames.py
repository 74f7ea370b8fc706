# gives: DataFrame 2 x 2
@fused.udf
def udf(least: int = 2):
    import duckdb
    import pandas as pd

    df = pd.DataFrame({"kind": ["a", "a", "b", "b", "b"], "n": [1, 2, 3, 4, 5]})
    con = duckdb.connect()
    return con.sql(f"SELECT kind, count(*) AS many FROM df WHERE n >= {least - 1} GROUP BY kind ORDER BY kind").df()
