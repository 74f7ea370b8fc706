"""The pictures of docs/maps: each map of notebooks/maps.ipynb, as a real JupyterLab draws it.

python scripts/gallery.py
"""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import nbformat
from PIL import Image
from real_jupyter import JupyterServer
from real_lab import LAB_ARGUMENTS, PATIENCE, Lab, chromium

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "maps.ipynb"
PICTURES = ROOT / "docs" / "images" / "maps"
SHOWN = ".fused-compare, .fused-map:not(.fused-compare .fused-map)"
WIDTH = 720


def main() -> None:
    """Run the notebook and keep its maps."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with JupyterServer(application="lab", arguments=LAB_ARGUMENTS) as server, chromium() as browser:
        shutil.copy(NOTEBOOK, server.directory)
        page = browser.new_page(viewport={"width": 1000, "height": 1000}, device_scale_factor=1)
        lab = Lab(page, server)
        lab.open(NOTEBOOK.name)
        page.keyboard.press("Control+b")
        page.add_style_tag(content=".Toastify { display: none }")
        lab.run_all()
        page.wait_for_timeout(3000)
        for index, name in enumerate(names()):
            cell = page.locator(".jp-Cell").nth(index)
            if not name:
                continue
            cell.scroll_into_view_if_needed(timeout=PATIENCE)
            shown = cell.locator(SHOWN).first
            shown.scroll_into_view_if_needed(timeout=PATIENCE)
            page.wait_for_timeout(3000)
            picture = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
            picture.thumbnail((WIDTH, WIDTH))
            picture.save(PICTURES / f"{name}.webp", quality=82)


def names() -> list[str]:
    """For each cell the name of its map's picture, from the heading above; empty where it shows no map."""
    found, heading = [], ""
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "markdown" and (title := re.search(r"^## (.+)$", cell.source, re.MULTILINE)):
            heading = re.sub(r"\W+", "-", title[1].lower())
        is_map = cell.cell_type == "code" and re.search(r"\.map\(|FusedMap\(", cell.source)
        found.append(heading if is_map else "")
    return found


if __name__ == "__main__":
    main()
