# gives: dict
@fused.udf
def udf(path: str = "somewhere.tif", *, bounds: fused.types.Bounds = None, chip_len=512):
    return {"path": path, "has_bounds": bounds is not None, "chip_len": int(chip_len)}
