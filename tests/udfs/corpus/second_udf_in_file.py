# gives: int
@fused.udf
def doubled(n: int = 2):
    return 2 * n


@fused.udf
def udf(n: int = 4):
    return doubled(n=n) + 1
