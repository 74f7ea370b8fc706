"""`fused.models.udf`."""

from fused_jupyter.official.models.udf.udf import AnyBaseUdf, BaseUdf, GeoPandasUdfV2, Udf

__all__ = ["AnyBaseUdf", "BaseUdf", "GeoPandasUdfV2", "Udf"]
