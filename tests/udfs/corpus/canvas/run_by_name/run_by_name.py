# gives: DataFrame 2 x 1
@fused.udf
def udf(start: int = 5):
    return fused.run("numbers", start=start, engine="local")
