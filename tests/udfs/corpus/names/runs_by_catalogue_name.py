# gives: str
@fused.udf
def udf(name: str = "all"):
    return fused.run("UDF_Hello", name=name)
