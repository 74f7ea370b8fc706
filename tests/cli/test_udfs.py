"""`fused udfs` as a person types it: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = "@fused.udf\ndef good(n: int = 3):\n    import numpy as np\n    return np.zeros((n, 4), 'uint8')\n"
PLACE = (
    "@fused.udf\ndef place(bounds: fused.types.Bounds, z: int = 1):\n    return [round(each, 2) for each in bounds]\n"
)
RASTER = "@fused.udf\ndef udf(bbox: fused.types.TileGDF):\n    return bbox[['x', 'y', 'z']].iloc[0].tolist()\n"
BROKEN = (
    "@fused.udf\ndef broken(path: str = '/nowhere/x.csv'):\n    import pandas as pd\n    return pd.read_csv(path)\n"
)
NEEDY = (
    "@fused.udf\ndef needy(path: str):\n    import nothing_like_this, json\n    from utils import f\n"
    "    fused.api.list('s3://bucket/data/')\n    fused.no_such_name('x')\n    return fused.run('good')\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with UDFs of several forms, and with what is none."""
    for name, source in {"good": GOOD, "deep/er/place": PLACE, "broken": BROKEN}.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    (tmp_path / "none.py").write_text("import nothing_like_this\n")
    metadata = {
        "fused:udfType": "raster",
        "fused:defaultViewState": {"latitude": 10.0, "longitude": 20.0, "zoom": 5},
    }
    _write_udf(tmp_path / "tiled", {"code": RASTER, "metadata": metadata})
    _write_udf(tmp_path / "note", {"code": "# a note", "metadata": {"isNodeTemplate": True}})
    return tmp_path


def _write_udf(path: Path, udf: dict[str, object]) -> None:
    path.mkdir()
    step = {
        "type": "udf",
        "udf": {"type": "geopandas_v2", "name": path.name, "entrypoint": "udf", "headers": [], **udf},
    }
    (path / "meta.json").write_text(
        json.dumps({"version": "0.0.3", "job_config": {"version": "0.0.3", "steps": [step]}})
    )


def fused(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What the command printed, and how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "fused_jupyter", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_run_says_in_a_line_what_each_udf_gave(folder: Path) -> None:
    """Each with its defaults, at its place or its tile; notes and other files are no UDFs."""
    done = fused("udfs", "run", folder, "n=5", "--jobs", "3")

    lines = {line.split()[3]: " ".join(line.split()[4:]) for line in done.stdout.splitlines()}
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["FAIL", "ok", "ok", "ok"]
    assert lines["good.py"] == "ndarray uint8 5 x 4"
    assert lines["deep/er/place.py"].startswith("list [-122.")
    assert lines["tiled"] == "list [17, 15, 5]"
    assert lines["broken.py"].startswith("FileNotFoundError")
    assert lines["broken.py"].endswith("(line 4)")
    assert done.returncode == 1


def test_run_takes_one_udf_too(folder: Path) -> None:
    """A file, with arguments as text."""
    done = fused("udfs", "run", folder / "good.py", "n=2")

    assert done.stdout.split()[4:] == ["ndarray", "uint8", "2", "x", "4"]
    assert (done.returncode, done.stderr) == (0, "1 UDFs, 0 with an error\n")


def test_run_ends_what_takes_too_long(tmp_path: Path) -> None:
    """The others still run."""
    (tmp_path / "a.py").write_text("@fused.udf\ndef a():\n    while True: pass\n")
    (tmp_path / "b.py").write_text(GOOD)

    done = fused("udfs", "run", tmp_path, "--timeout", "4")

    first, second = done.stdout.splitlines()
    assert "TimeoutError: not done after 4 s" in first
    assert second.startswith("ok")


def test_check_tells_what_a_udf_needs_and_runs_nothing(tmp_path: Path) -> None:
    """Modules, names of fused, arguments, data and other UDFs; only what is not there is an error."""
    (tmp_path / "needy.py").write_text(NEEDY)
    (tmp_path / "odd.py").write_text("@fused.udf\ndef odd(:\n")
    (tmp_path / "writes.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{GOOD}")

    done = fused("udfs", "check", tmp_path)

    needy, odd, writes = done.stdout.splitlines()
    assert needy.startswith("FAIL  needy.py")
    assert "not installed: nothing_like_this, utils" in needy
    assert "not in fused: no_such_name" in needy
    assert "asks for: path" in needy
    assert "loads: good" in needy
    assert "data: s3://bucket/data/" in needy
    assert odd.startswith("FAIL  odd.py")
    assert writes == "ok    writes.py"
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 1


def test_survey_counts_causes(folder: Path) -> None:
    """What fails for its data is not ours to mend; what fails for no known cause is shown."""
    (folder / "odd.py").write_text("@fused.udf\ndef odd():\n    return 1 / 0\n")
    (folder / "web.py").write_text(
        "@fused.udf\ndef web():\n    import urllib.request\n    urllib.request.urlopen('http://127.0.0.1:9')\n"
    )

    done = fused("udfs", "survey", folder)

    counts = [line.split(maxsplit=1) for line in done.stdout.rpartition("UDFs\n")[2].splitlines()]
    assert ["3", "ran"] in counts
    assert ["1", "needs a file"] in counts
    assert ["1", "needs the network"] in counts
    assert ["1", "other"] in counts
    assert any("ZeroDivisionError" in line for line in done.stdout.splitlines()[-2:])
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("udfs", "run", "/nowhere/at/all"), "there is no /nowhere/at/all"),
        (("udfs", "dance", "."), "invalid choice: 'dance'"),
        ((), "required: AREA"),
    ],
)
def test_wrong_commands_say_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    """And end with 2."""
    done = fused(*arguments)

    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_wrong_arguments_and_empty_folders_say_so(folder: Path, tmp_path: Path) -> None:
    """Before anything runs."""
    empty = tmp_path / "empty"
    empty.mkdir()

    assert "no UDF in" in fused("udfs", "run", empty).stderr
    wrong = fused("udfs", "run", folder, "five")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.strip() == "fused: got 'five', need name=value, e.g. min_mag=6"


def test_pytest_runs_each_udf_of_a_folder(folder: Path) -> None:
    """As a test of its own; with --fused-udfs-offline those that need the network are skipped."""
    (folder / "web.py").write_text("@fused.udf\ndef web():\n    raise ConnectionError('Connection refused')\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--fused-udfs", ".", "--fused-udfs-offline"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "1 failed, 3 passed, 1 skipped" in done.stdout
    assert "FileNotFoundError" in done.stdout
    assert "outcome_of" not in done.stdout, "pytest's own frames say nothing to whoever wrote the UDF"
