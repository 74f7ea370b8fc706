# gives: list
@fused.udf
def udf(n: int = 2):
    import pandas as pd

    for i in range(n):
        fused.api.upload(str(i).encode(), f"fd://corpus/files/{i}.txt")
    return sorted(name.rpartition("/")[2] for name in fused.api.list("fd://corpus/files/"))
