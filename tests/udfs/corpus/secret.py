# gives: bool
@fused.udf
def udf():
    return fused.secrets["corpus_key"] == "opens nothing"
