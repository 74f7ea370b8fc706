# gives: DataFrame 2 x 1
@fused.udf
def udf(start: int = 1):
    import pandas as pd

    return pd.DataFrame({"n": [start, start + 1]})
