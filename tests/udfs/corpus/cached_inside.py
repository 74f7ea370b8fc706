# gives: DataFrame 1 x 1
@fused.udf
def udf(n: int = 3):
    import pandas as pd

    @fused.cache
    def slow(n):
        return pd.DataFrame({"n": [n * n]})

    return slow(n)
