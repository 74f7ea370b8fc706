"""The README's picture: a notebook in real JupyterLab, run, its last map in view.

python scripts/screenshot.py [notebook] [picture]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from real_jupyter import JupyterServer
from real_lab import LAB_ARGUMENTS, Lab, chromium

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run the notebook and save what a user sees."""
    notebook = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "notebooks" / "quickstart.ipynb"
    picture = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images" / "quickstart.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    with JupyterServer(application="lab", arguments=LAB_ARGUMENTS) as server, chromium() as browser:
        shutil.copy(notebook, server.directory)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        lab = Lab(page, server)
        lab.open(notebook.name)
        page.keyboard.press("Control+b")  # the file browser is not what the picture is about
        lab.run_all()
        lab.map(0)
        dismiss = page.get_by_role("button", name="No", exact=True)
        if dismiss.count():
            dismiss.click()
        page.wait_for_timeout(1500)
        page.screenshot(path=str(picture))


if __name__ == "__main__":
    main()
