"""The tests of Fused's public UDFs, as they stand there, against our `fused`; run where somebody names a clone.

    FUSED_UDFS_REPOSITORY=/path/to/a/clone pytest tests/whole/test_public_repository.py

The clone may be bare, and needs its history, as UDFs load libraries of old commits. Nothing of it is part of this
project, and nothing is asked over the network: libraries come from the clone, and a directory stands for the bucket.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REPOSITORY = os.environ.get("FUSED_UDFS_REPOSITORY", "")
NEEDED = ("duckdb", "fiona", "openpyxl", "rasterio")
"""What its own workflow installs, as far as these tests use it."""

pytestmark = [
    pytest.mark.skipif(not REPOSITORY, reason="FUSED_UDFS_REPOSITORY names no clone of github.com/fusedio/udfs"),
    pytest.mark.skipif(
        bool(missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]),
        reason=f"its tests need {', '.join(missing)}",
    ),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its files, in a directory of this test."""
    place = tmp_path_factory.mktemp("udfs")
    command = ["git", "-c", "safe.directory=*", "-C", REPOSITORY, "archive", "HEAD"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as git, tarfile.open(fileobj=git.stdout, mode="r|") as tar:
        tar.extractall(place, filter="data")
    (place / "ours.py").write_text("from fused_jupyter import _alias\n_alias.install()\n")
    (place / "bucket").mkdir()
    return place


def test_tests_of_file_udfs_pass_unmodified(checkout: Path, tmp_path: Path) -> None:
    """All fifteen; the official client passes twelve of them offline."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "tests"), os.environ.get("PYTHONPATH", "")]),
        "FUSED_GIT_MIRRORS": f"fusedio/udfs={REPOSITORY}",
        "FUSED_GITHUB_URL": "",
        "FUSED_BUCKETS": f"s3://fused-asset={checkout / 'bucket'}",
        "FUSED_DATA_DIRECTORY": str(tmp_path / "data"),
        "FUSED_CACHE_DIRECTORY": str(tmp_path / "cache"),
        "FUSED_MOUNT_DIRECTORY": str(tmp_path / "mount"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "FUSED_WORKERS": "2",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ours", "-p", "no:cacheprovider", "tests/test_file_udfs.py"]

    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=170
    )

    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert passed is not None
    assert int(passed[1]) == 15
