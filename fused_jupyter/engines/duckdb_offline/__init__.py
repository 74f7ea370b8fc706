"""DuckDB's extensions for UDFs without the internet.

UDFs write ``INSTALL httpfs; LOAD httpfs; INSTALL h3 FROM community; LOAD h3``. The first two come inside packages
(`duckdb-extension-httpfs`, `duckdb-extension-spatial`). The third has none: where DuckDB has not installed it,
functions of the same names stand in for it, registered on the connection itself.
"""

from __future__ import annotations

from fused_jupyter.engines.duckdb_offline.hook import install

__all__ = ["install"]
