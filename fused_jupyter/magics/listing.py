"""What `%fused_udfs` shows."""

from __future__ import annotations

import html
from dataclasses import dataclass

from fused_jupyter.api.udf import Udf


@dataclass(frozen=True, slots=True)
class UdfListing:
    """The UDFs of a kernel, one a line."""

    udfs: tuple[Udf, ...]

    def __len__(self) -> int:
        return len(self.udfs)

    def __repr__(self) -> str:
        if not self.udfs:
            return "no UDF is registered; run a %%fused_udf cell"
        return "\n".join(f"{udf.signature}  [{udf.digest[:8]}]" for udf in self.udfs)

    def _repr_html_(self) -> str:
        if not self.udfs:
            return html.escape(repr(self))
        rows = "".join(
            f"<tr><td style='text-align:left'><code>{html.escape(udf.signature)}</code></td>"
            f"<td style='text-align:left'>{html.escape(udf.definition.description.partition(chr(10))[0])}</td>"
            f"<td><code>{udf.digest[:8]}</code></td></tr>"
            for udf in self.udfs
        )
        return f"<table><thead><tr><th>UDF</th><th>what</th><th>version</th></tr></thead><tbody>{rows}</tbody></table>"
