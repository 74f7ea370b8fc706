"""JupyterLab in a real Chromium, with real kernels: for the browser tests and the screenshots of the docs."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image
from playwright.sync_api import Browser, ElementHandle, Locator, Page, sync_playwright
from real_jupyter import JupyterServer, Server

CHROMIUM_FLAGS = [
    *(
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
    ),
    *(
        "--disable-sync",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-dev-shm-usage",
    ),
]
PATIENCE = 90_000
"""Milliseconds; a machine with two busy cores draws a map in seconds, not in one."""


class Lab:
    """One notebook in JupyterLab."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server

    def open(self, path: str) -> None:
        """Open a notebook and wait for its kernel."""
        self.page.goto(self.server.page(path), timeout=PATIENCE)
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=PATIENCE,
        )

    def run_all(self) -> None:
        """Run every cell, and wait until the last has ended."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.wait_idle()

    def run(self, index: int, source: str | None = None) -> None:
        """Run a cell, edited first where a source is given; does not wait."""
        self.page.evaluate(
            """([index, source]) => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = index;
                if (source !== null) notebook.widgets[index].model.sharedModel.setSource(source);
                void window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            [index, source],
        )

    def append(self, source: str) -> int:
        """Add a cell at the end; gives its index."""
        return int(
            self.page.evaluate(
                """source => {
                    const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
                    model.insertCell(model.cells.length, {cell_type: 'code', source});
                    return model.cells.length - 1;
                }""",
                source,
            )
        )

    def is_running(self, index: int) -> bool:
        """Whether a cell has not ended yet. The kernel's own status also tells of the comm messages in between."""
        return bool(
            self.page.evaluate(
                "index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.executionCount === null",
                index,
            )
        )

    def wait_for_end(self, index: int) -> None:
        """Wait until a cell has ended."""
        self.page.wait_for_function(
            "index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.executionCount !== null",
            arg=index,
            timeout=PATIENCE,
        )

    def wait_idle(self) -> None:
        """Wait until every cell has ended."""
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(
            """() => window.jupyterapp.shell.currentWidget.content.widgets.every(
                cell => cell.model.type !== 'code' || cell.model.executionCount !== null)""",
            timeout=PATIENCE,
        )

    def map(self, number: int = 0) -> ElementHandle:
        """The map's element, scrolled to, all of its tiles there."""
        self.page.wait_for_function(
            "n => document.querySelectorAll('.fused-map')[n]?.dataset.idle === 'true'", arg=number, timeout=PATIENCE
        )
        element = self.page.query_selector_all(".fused-map")[number]
        element.scroll_into_view_if_needed()
        return element

    def colors(self, number: int = 0, *, floor: float = 0.02) -> dict[tuple[int, int, int], float]:
        """Share of each colour in the map's picture; colours that cover no more than `floor` are left out."""
        return colors_of(self.map(number), floor=floor)

    def wait_for_color(
        self, color: tuple[int, int, int], *, number: int = 0, share: float = 0.1, floor: float = 0.02
    ) -> None:
        """Wait until the map shows a colour, give or take what blending costs.

        Raises:
            AssertionError: it does not come; says which colours are there.
        """
        seen: dict[tuple[int, int, int], float] = {}
        for _ in range(60):
            seen = self.colors(number, floor=floor)
            if sum(part for one, part in seen.items() if is_near(one, color)) >= share:
                return
            self.page.wait_for_timeout(250)
        raise AssertionError(f"{color} does not cover {share:.0%} of the map; there are {seen}")


def colors_of(element: ElementHandle | Locator, *, floor: float = 0.02) -> dict[tuple[int, int, int], float]:
    """Share of each colour in the picture of an element; colours that cover no more than `floor` are left out."""
    picture = Image.open(io.BytesIO(element.screenshot())).convert("RGB")
    total = picture.width * picture.height
    counts = picture.getcolors(total) or []
    return {color: count / total for count, color in counts if count / total > floor}


def is_near(one: tuple[int, int, int], other: tuple[int, int, int], *, tolerance: int = 24) -> bool:
    """Whether two colours differ by no more than blending and scaling explain."""
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of code cells."""
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser.

    Raises:
        RuntimeError: there is none; `make test` installs it.
    """
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        raise RuntimeError("no Chromium found; `make test` installs it, or: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


class NotebookServer(JupyterServer):
    """Notebook 7."""

    def __init__(self, **options: Any) -> None:
        arguments = ("--JupyterNotebookApp.expose_app_in_browser=True", "--LabApp.news_url=None")
        super().__init__(application="notebook", arguments=arguments, **options)

    def page(self, path: str) -> str:
        """The address of a notebook."""
        return f"{self.root}notebooks/{path}?token={self.token}"


LAB_ARGUMENTS = (
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)
"""What JupyterLab is started with, so that the tests can drive it and nothing pops up."""
