# gives: int
@fused.udf
def udf(n: int = 1):
    from utils import SCALE

    return SCALE * n
