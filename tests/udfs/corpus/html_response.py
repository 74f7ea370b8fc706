# gives: Response
@fused.udf
def udf(title: str = "Hello"):
    from fastapi import Response

    return Response(f"<h1>{title}</h1>".encode(), media_type="text/html; charset=utf-8")
