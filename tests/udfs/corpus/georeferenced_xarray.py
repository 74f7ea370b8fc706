# gives: DataArray float64 10 x 20
@fused.udf
def udf(bounds: fused.types.Bounds = [-10, -10, 10, 10], variable: str = "t2m"):
    import numpy as np
    import xarray as xr

    return xr.DataArray(
        np.arange(200.0).reshape(10, 20), dims=("lat", "lon"), name=variable,
        coords={"lat": np.linspace(9, -9, 10), "lon": np.linspace(-9.5, 9.5, 20)},
    )
