# gives: dict
from typing import Literal, Union


@fused.udf
def udf(
    mode: Literal["data", "chart-url"] = "data", limit: int | None = None, box: list[float] | None = None,
    options: Union[dict, str, None] = None, flag: bool = False,
):
    return {"mode": mode, "limit": limit, "box": box, "options": options, "flag": flag}
