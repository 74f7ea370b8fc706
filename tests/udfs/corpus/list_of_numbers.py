# gives: list
@fused.udf
def udf(values: list = [1, 2, 3], factor: float = 2.0):
    return [each * factor for each in values]
