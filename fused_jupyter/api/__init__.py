"""What `import fused` offers: the UDF that users hold, and the functions around it, which load when they are used."""

from fused_jupyter.api.run import run
from fused_jupyter.api.udf import Udf, udf

__all__ = ["Udf", "run", "udf"]
