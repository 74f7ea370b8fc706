# gives: DataFrame 2 x 1
@fused.udf
def udf(start: int = 1):
    numbers = fused.load("numbers")
    return numbers(start=start) * 2
