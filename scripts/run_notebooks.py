"""Runs notebooks in kernels of a real Jupyter server and stores what their cells give: `make notebooks`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from real_jupyter import JupyterServer, Kernel

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
EXPECTED_ERROR = "raises-exception"
_OUTPUTS = frozenset({"stream", "display_data", "execute_result", "error"})


def run_notebook(path: Path, kernel: Kernel) -> nbformat.NotebookNode:
    """The notebook with the outputs that its cells gave in this kernel.

    Raises:
        RuntimeError: a cell failed that is not tagged `raises-exception`, or one so tagged did not.
    """
    notebook = nbformat.read(path, as_version=4)
    count = 0
    for cell in notebook.cells:
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = run_cell(kernel, cell.source)
        check(cell)
    return notebook


def run_cell(kernel: Kernel, source: str, *, timeout: float = 120) -> list[nbformat.NotebookNode]:
    """What a cell gave, as a notebook stores it."""
    outputs: list[nbformat.NotebookNode] = []
    message_id = kernel.start(source)
    while True:
        message: dict[str, Any] = kernel.client.get_iopub_msg(timeout=timeout)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return outputs
        if message["msg_type"] not in _OUTPUTS:
            continue
        output = nbformat.v4.output_from_msg(message)
        if outputs and output.output_type == "stream" == outputs[-1].output_type and output.name == outputs[-1].name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)


def check(cell: nbformat.NotebookNode) -> None:
    """See that a cell failed if, and only if, its tag says so."""
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    is_expected = EXPECTED_ERROR in cell.metadata.get("tags", [])
    if error is not None and not is_expected:
        raise RuntimeError("\n".join([f"this cell failed:\n{cell.source}\n", *error.traceback]))
    if error is None and is_expected:
        raise RuntimeError(f"this cell is tagged {EXPECTED_ERROR} and raised nothing:\n{cell.source}")


def make_portable(notebook: nbformat.NotebookNode) -> None:
    """Take out what means something on this machine only: models of widgets, and where Python is installed."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if output.output_type == "error":
                output.traceback = [line.replace(sys.prefix, "…") for line in output.traceback]


def main() -> None:
    """Run the notebooks that are named, or all, and write them back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    with JupyterServer() as server:
        for path in parser.parse_args().notebooks:
            with server.running_kernel() as kernel:
                notebook = run_notebook(path, kernel)
            make_portable(notebook)
            nbformat.write(notebook, path)
            print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells")


if __name__ == "__main__":
    main()
