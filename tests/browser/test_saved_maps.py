"""A notebook that was saved with a map in it, opened again when the kernel is gone."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Page
from real_lab import PATIENCE, Lab, is_near, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("lab_server", ["/user/ana/"], indirect=True, ids=["prefix"]),
]

BLUE = (0, 0, 200)
CELLS = [
    "%load_ext fused_jupyter",
    """\
%%fused_udf flat
@fused.udf
def flat(bounds: fused.types.Bounds = None, level: int = 200):
    import numpy as np
    picture = np.zeros((3, 256, 256), "uint8")
    picture[2] = level
    return picture
""",
    "m = flat.map(zoom=1, height='320px')\nm",
    "picture = m.snapshot()\nprint(repr(picture))\npicture",
    "token = flat.create_access_token()\nm.to_html('live.html', live=True)\ntoken",
]
HINT = "A picture of a map that was live"


def save_with_map(lab: Lab, name: str) -> Path:
    """Run a notebook with a map in JupyterLab and save it when its picture is there."""
    path = lab.server.directory / name
    write_notebook(path, CELLS)
    lab.open(name)
    lab.run_all()
    lab.wait_for_color(BLUE)
    lab.page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.outputs.toJSON()
            .some(output => output.data && output.data['image/png'])""",
        timeout=PATIENCE,
    )
    lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    return path


def colored(page: Page, selector: str) -> tuple[int, int, int]:
    """The colour in the middle of an element."""
    element = page.locator(selector).first
    element.scroll_into_view_if_needed()
    image = Image.open(io.BytesIO(element.screenshot())).convert("RGB")
    return image.getpixel((image.width // 2, image.height // 2))  # type: ignore[return-value]


def test_a_notebook_without_its_kernel_shows_the_last_picture(lab: Lab, tmp_path: Path) -> None:
    """In JupyterLab, in Notebook 7, and as nbconvert writes it: picture and hint, and no error and no blank box."""
    path = save_with_map(lab, "saved.ipynb")
    assert lab.page.get_by_text(HINT).is_hidden(), "the map itself is there"
    assert lab.page.locator(".jp-RenderedImage img:visible").count() == 1, "only that of the snapshot"
    server, context = lab.server, lab.page.context
    for kernel in server.get("api/kernels").json():
        server.request("DELETE", f"api/kernels/{kernel['id']}")

    for address in (server.page("saved.ipynb"), f"{server.root}notebooks/saved.ipynb?token={server.token}"):
        page = context.new_page()
        page.goto(address, timeout=PATIENCE)
        page.get_by_text(HINT).wait_for(timeout=PATIENCE)
        assert is_near(colored(page, ".jp-RenderedImage img"), BLUE)
        shown = page.locator("body").inner_text()
        assert "Error displaying widget" not in shown
        assert "FusedMap(" not in shown
        page.close()

    written = tmp_path / "saved.html"
    written.write_text(HTMLExporter().from_filename(str(path))[0])
    page = context.new_page()
    page.goto(f"file://{written}")
    page.get_by_text(HINT).wait_for()
    assert is_near(colored(page, "img"), BLUE)
    assert page.get_by_text("FusedMap(").is_hidden()


def test_a_saved_notebook_holds_a_small_picture_and_no_secret(lab: Lab) -> None:
    """No token of the server, no share token though one was made, no key; each map costs 150 kB at most."""
    path = save_with_map(lab, "secrets.ipynb")
    lab.page.wait_for_timeout(500)

    text = path.read_text()
    notebook = nbformat.reads(text, as_version=4)
    cookies = {cookie["value"] for cookie in lab.page.context.cookies()}
    (key,) = [json.loads(file.read_text())["key"] for file in lab.server.runtime_directory.glob("jpfused-*.json")]
    for secret in {lab.server.token, key, *cookies}:
        assert secret not in text
    assert not re.search(r"fsh_[A-Za-z0-9_-]{20,}|fused/k/|\"kernel_id\"|_xsrf", text)
    outputs = notebook.cells[2].outputs
    assert len(json.dumps(outputs)) < 153_000
    (kept,) = [output.data["image/png"] for output in outputs if "image/png" in output.data]
    image = Image.open(io.BytesIO(base64.b64decode(kept))).convert("RGB")
    assert image.getpixel((image.width // 2, image.height // 2)) == BLUE


def test_a_snapshot_comes_while_its_cell_runs(lab: Lab) -> None:
    """Also in a cell that has changed the map before."""
    path = lab.server.directory / "snapshot.ipynb"
    cell = "m.params = {'level': 90}\np = m.snapshot('map.png', timeout=60)\nprint(p)"
    write_notebook(path, [*CELLS[:3], "pass"])
    lab.open("snapshot.ipynb")
    lab.run_all()
    lab.wait_for_color(BLUE)

    lab.run(3, cell)
    lab.wait_idle()

    image = Image.open(lab.server.directory / "map.png").convert("RGB")
    assert image.getpixel((image.width // 2, image.height // 2)) == (0, 0, 90)
