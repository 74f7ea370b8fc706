"""nbclient: a kernel and no Jupyter server."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    "%load_ext fused_jupyter",
    "%%fused_udf\n@fused.udf\ndef double(n: int = 2):\n    print('doubling')\n    return 2 * n\n",
    "double(n=21)",
    "fused.run('double', n=4)",
    "try:\n    double.file_url()\nexcept fused.errors.NoServerError as exc:\n    print(exc)",
    "%fused_udfs",
    "import fused; fused.__name__",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:nbclient.*")
def test_a_notebook_runs_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registry and runs work; asking for a URL says what is missing and where there is one; nothing is left behind."""
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("FUSED_CACHE_DIRECTORY", str(tmp_path / "cache"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])

    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = [cell.outputs for cell in notebook.cells]
    assert "no Jupyter server" in outputs[0][0]["text"]
    assert "double(n: int = 2)" in outputs[1][0]["data"]["text/plain"]
    assert outputs[2][0]["text"] == "doubling\n"
    assert outputs[2][1]["data"]["text/plain"] == "42"
    assert outputs[3][-1]["data"]["text/plain"] == "8"
    assert "not started by a Jupyter server" in outputs[4][0]["text"]
    assert "JupyterLab" in outputs[4][0]["text"]
    assert "double(n: int = 2)" in outputs[5][0]["data"]["text/plain"]
    assert outputs[6][0]["data"]["text/plain"] == "'fused_jupyter'"
    assert not list(runtime.glob("fused-*.json"))
