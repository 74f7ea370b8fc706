# gives: str
@fused.udf
def udf(name: str, times: int = 1):
    return name * times
