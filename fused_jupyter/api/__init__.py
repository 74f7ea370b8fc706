"""What `import fused` offers: the UDF that users hold, and the functions around it, which load when they are used."""

from fused_jupyter.api.run import run
from fused_jupyter.api.udf import Udf
from fused_jupyter.api.decorator import udf

__all__ = ["Udf", "run", "udf"]
