# gives: dict
@fused.udf
def udf(lat: float = 45.0, lng: float = 5.0):
    return {"center": [lng, lat], "ok": True, "layers": [{"type": "hex"}]}
