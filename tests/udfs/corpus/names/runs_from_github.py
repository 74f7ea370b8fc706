# gives: str
@fused.udf
def udf():
    hello = fused.load("https://github.com/corpus/udfs/blob/main/public/Hello/Hello.py")
    return hello(name="corpus")
