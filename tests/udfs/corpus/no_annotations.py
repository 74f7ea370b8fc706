# gives: str
@fused.udf
def udf(name="world", times=2):
    return f"{name} {times}"
