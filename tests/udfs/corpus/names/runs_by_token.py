# gives: str
@fused.udf
def udf(name: str = "you"):
    return fused.run("fsh_corpusHello0000000001", name=name, engine="local")
