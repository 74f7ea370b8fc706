"""What `import fused` offers: the UDF that users hold, and the functions around it."""

from fused_jupyter.api.cache import cache
from fused_jupyter.api.load import LoadedUdf, load
from fused_jupyter.api.profile import Profile
from fused_jupyter.api.result import RunResult
from fused_jupyter.api.run import run, run_result
from fused_jupyter.api.udf import Udf, udf

__all__ = ["LoadedUdf", "Profile", "RunResult", "Udf", "cache", "load", "run", "run_result", "udf"]
