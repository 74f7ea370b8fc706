"""A folder of a UDF, to break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of a UDF as the official client writes it, with `udf` of its `meta.json` changed, and other files."""

    def make(files: dict[str, str | bytes] | None = None, **changes: Any) -> Path:
        path = tmp_path / "quakes"
        path.mkdir()
        udf = {"name": "quakes", "type": "geopandas_v2", "headers": [], "metadata": None, "entrypoint": "udf",
               "cache_max_age": None, "parameters": {}, "source": "quakes.py", **changes}  # fmt: skip
        step = {"type": "udf", "name": "quakes", "udf": {key: value for key, value in udf.items() if value is not ...}}
        contents = {
            "quakes.py": "import fused\n\n@fused.udf\ndef udf(n: int = 2):\n    return n",
            "README.MD": "# job_quakes\n\n",
            "meta.json": json.dumps({"job_config": {"name": None, "steps": [step], "metadata": None}}),
        }
        for name, content in (contents | (files or {})).items():
            if content is not ...:
                (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make
