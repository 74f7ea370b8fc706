# gives: int
@fused.udf
def udf(n: int = 3):
    utils = fused.load("https://github.com/corpus/udfs/tree/main/public/common").utils
    return utils.cubed(n)
