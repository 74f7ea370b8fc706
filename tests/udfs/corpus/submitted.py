# gives: DataFrame 3 x 1
@fused.udf
def udf(count: int = 3):
    @fused.udf
    def one(n: int = 1):
        import pandas as pd

        return pd.DataFrame({"square": [n * n]})

    return fused.submit(one, [{"n": n} for n in range(count)], engine="local", max_workers=2).reset_index(drop=True)
