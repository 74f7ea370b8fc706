# gives: dict
@fused.udf
def udf():
    import os

    return {"in_realtime": fused.context.in_realtime() in (True, False), "path": str(fused.file_path("corpus/x.txt")).endswith("x.txt"), "os": bool(os.environ)}
