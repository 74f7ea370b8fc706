"""Where the official client has its `FusedAPI`, and old code looks for the class of UDFs."""

from fused_jupyter.api.client import FusedAPI
from fused_jupyter.api.udf import Udf as AnyBaseUdf

__all__ = ["AnyBaseUdf", "FusedAPI"]
