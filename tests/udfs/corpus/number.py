# gives: int
@fused.udf
def udf(n: int = 20):
    return sum(range(n))
