"""`fused.models`: the classes by which old code names UDFs."""

from fused_jupyter.official.models import udf

__all__ = ["udf"]
