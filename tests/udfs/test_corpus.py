"""Small UDFs in the style of those that people have, run in every way: `fused.run`, file, tile, command line.

The first line of each says what it gives. They are ours; the names that they load are in a git repository that is made
here, whose commits have fixed dates and so fixed hashes.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from real_jupyter import JupyterServer

CORPUS = Path(__file__).parent / "corpus"
NAMES = sorted(
    str(path.relative_to(CORPUS).with_suffix(""))
    for path in CORPUS.rglob("*")
    if (path.suffix == ".py" and not (path.parent / "meta.json").exists()) or (path / "meta.json").exists()
)
UDFS = [name for name in NAMES if name != "canvas/a_note"]

COMMON = """\
import geopandas as gpd
import shapely


def halves(bounds, zoom=1):
    west, south, east, north = bounds
    middle = (west + east) / 2
    boxes = [shapely.box(west, south, middle, north), shapely.box(middle, south, east, north)]
    return gpd.GeoDataFrame({"zoom": [zoom, zoom]}, geometry=boxes, crs=4326)


@fused.udf
def udf(n: int = 1):
    return n
"""
HELLO = "@fused.udf\ndef udf(name: str = 'world'):\n    return f'hello {name}'\n"
TOKEN = "fsh_corpusHello0000000001"


def table_shape(body: bytes) -> str:
    """Of a Parquet file."""
    return " x ".join(map(str, pd.read_parquet(io.BytesIO(body)).shape))


def picture_size(body: bytes) -> str:
    """Height and width."""
    width, height = Image.open(io.BytesIO(body)).size
    return f"{height} x {width}"


READERS: dict[str, tuple[set[str], Callable[[bytes], str]]] = {
    "DataFrame": ({"application/octet-stream", "application/vnd.apache.parquet"}, table_shape),
    "GeoDataFrame": ({"application/octet-stream", "application/vnd.apache.parquet"}, table_shape),
    "GeoSeries": ({"application/octet-stream", "application/vnd.apache.parquet"}, lambda _: "geometry 2"),
    **dict.fromkeys(("ndarray", "MaskedArray", "DataArray", "tuple"), ({"image/png"}, picture_size)),
    "str": ({"application/json", "text/html"}, lambda body: body.decode()[:1]),
    "Response": ({"text/html"}, lambda body: body.decode()[:1]),
    "None": ({"application/json"}, lambda body: str(json.loads(body))),
    **{
        kind: ({"application/json"}, lambda body: type(json.loads(body)).__name__)
        for kind in ("dict", "list", "int", "bool")
    },
}
"""How a file of each kind of value is read back, by libraries that know nothing of us; that ends what it gives."""

TILE_MEDIA = {
    "GeoDataFrame": "application/vnd.mapbox-vector-tile",
    "GeoSeries": "application/vnd.mapbox-vector-tile",
} | dict.fromkeys(("ndarray", "MaskedArray", "DataArray", "tuple"), "image/png")


def gives(name: str) -> str:
    """What its first line says."""
    source = CORPUS / f"{name}.py"
    if not source.exists():
        meta = json.loads((CORPUS / name / "meta.json").read_text())["job_config"]["steps"][0]["udf"]
        text = meta.get("code") or (CORPUS / name / meta["source"]).read_text()
    else:
        text = source.read_text()
    return str(text).partition("\n")[0].removeprefix("# gives: ")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The corpus beside the repository and the secrets that it names; settings lead there."""
    root = tmp_path_factory.mktemp("corpus")
    sha = _repository(root / "udfs")
    shutil.copytree(CORPUS, root / "corpus", ignore=shutil.ignore_patterns("__pycache__"))
    for path in root.joinpath("corpus").rglob("*.py"):
        path.write_text(path.read_text().replace("/SHA/", f"/{sha[:7]}/"))
    secrets = root / "secrets.json"
    secrets.write_text(json.dumps({"corpus_key": "opens nothing"}))
    secrets.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUSED_GIT_MIRRORS", f"corpus/udfs={root / 'udfs'}")
        patch.setenv("FUSED_GITHUB_URL", "")
        patch.setenv("FUSED_CATALOGUES", "https://github.com/corpus/udfs/tree/main/public")
        patch.setenv("FUSED_SECRETS_FILE", str(secrets))
        patch.setenv("FUSED_DATA_DIRECTORY", str(root / "data"))
        patch.setenv("FUSED_CACHE_DIRECTORY", str(root / "cache"))
        patch.setenv("FUSED_MOUNT_DIRECTORY", str(root / "mount"))
        yield root / "corpus"


def _meta(name: str, *, headers: Sequence[str] = (), **metadata: str) -> str:
    modules = [{"module_name": header, "source_file": f"{header}.py"} for header in headers]
    udf = {"type": "geopandas_v2", "name": name, "entrypoint": "udf", "source": f"{name}.py", "headers": modules}
    step = {"type": "udf", "udf": {**udf, "metadata": {f"fused:{key}": value for key, value in metadata.items()}}}
    return json.dumps({"version": "0.0.3", "job_config": {"steps": [step]}})


def _repository(path: Path) -> str:
    """A repository with the folders `common` and `Hello`; gives its commit."""
    files = {
        "public/common/common.py": COMMON,
        "public/common/utils.py": "def cubed(n):\n    return n**3\n",
        "public/common/meta.json": _meta("common", headers=["utils"]),
        "public/Hello/Hello.py": HELLO,
        "public/Hello/meta.json": _meta("Hello", userCreatedShareToken=TOKEN),
    }
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    date = "2026-01-01T00:00:00+00:00"
    environment = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    identity = ("-c", "user.name=corpus", "-c", "user.email=corpus@example.org", "-c", "commit.gpgsign=false")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*identity, "commit", "-q", "-m", "corpus")):
        subprocess.run(["git", *command], cwd=path, env=environment, check=True, capture_output=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=path, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_corpus_is_large() -> None:
    """Forty at least, and each says what it gives."""
    assert len(UDFS) >= 40
    assert all(re.match(r"\w", gives(name)) for name in UDFS)


@pytest.fixture(scope="module")
def command_line(world: Path) -> dict[str, str]:
    """The lines of `fused udfs run`, by UDF."""
    done = subprocess.run(
        [sys.executable, "-m", "fused_jupyter", "udfs", "run", world, "--timeout", "60"],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    lines = (re.fullmatch(r"(ok|FAIL) +[\d.]+ s  (\S+?)(?:\.py)?  (.*)", line) for line in done.stdout.splitlines())
    return {line[2]: f"{line[1]} {line[3]}" for line in lines if line}


@pytest.mark.parametrize("name", UDFS)
def test_runs_on_the_command_line(command_line: dict[str, str], name: str) -> None:
    """`fused udfs run` finds it, and it gives what it says."""
    assert command_line[name].startswith(f"ok {gives(name)}")


@pytest.fixture(scope="module")
def served(world: Path) -> Iterator[tuple[JupyterServer, dict[str, str]]]:
    """A kernel of a real server with all of them registered, and what `fused.run` gave there."""
    with JupyterServer() as server, server.running_kernel() as kernel:
        kernel.execute("%load_ext fused_jupyter").check()
        code = f"""
import json
from pathlib import Path
import fused_jupyter as fused
from fused_jupyter.cli.running import summary
given = {{}}
for name in {UDFS!r}:
    path = Path({str(world)!r}, name)
    udf = fused.load(path if path.is_dir() else path.with_suffix(".py"))
    udf.register(name.replace("/", "_"))
    try:
        given[name] = summary(fused.run(udf, **udf.metadata.get("fused:defaultParameters", {{}})))
    except Exception as exc:
        given[name] = f"{{type(exc).__name__}}: {{exc}}"
print(chr(0) + json.dumps(given))
"""
        printed = kernel.execute(code, timeout=170).check().text
        yield server, json.loads(printed.rpartition(chr(0))[2])


@pytest.mark.parametrize("name", [name for name in UDFS if gives(name) != "GeoDataFrame 1 x 4" and "rgba" not in name])
def test_runs_by_fused_run(served: tuple[JupyterServer, dict[str, str]], name: str) -> None:
    """With its defaults; those that take a tile and have no default are run as tiles."""
    assert served[1][name].startswith(gives(name))


def path_of(name: str) -> str:
    defaults: dict[str, Any] = {"older/metadata_defaults": "?name=ab&times=2"}
    return name.replace("/", "_") + str(defaults.get(name, ""))


@pytest.mark.parametrize("name", [name for name in UDFS if "older/rgba_tile" not in name and "tile_frame" not in name])
def test_is_served_as_a_file(served: tuple[JupyterServer, dict[str, str]], name: str) -> None:
    """In the format that fits what it gives, with all of it."""
    answer = served[0].get(f"fused/run/file/{path_of(name)}")

    assert answer.status == 200, answer.body
    media, read = READERS[gives(name).split()[0]]
    assert answer.headers.get_content_type() in media
    found = read(answer.body)
    assert gives(name) in {"tuple", "str", "Response"} or gives(name).endswith(found)


@pytest.mark.parametrize("name", UDFS)
def test_is_served_as_a_tile(served: tuple[JupyterServer, dict[str, str]], name: str) -> None:
    """Geometries as vector tiles, arrays as pictures; what is neither comes as a file would."""
    udf, _, query = path_of(name).partition("?")
    answer = served[0].get(f"fused/run/tiles/{udf}/1/1/0?{query}")

    kind = gives(name).split()[0]
    assert answer.status in {200, 204}, answer.body
    if answer.status == 200 and kind in TILE_MEDIA:
        assert answer.headers.get_content_type() == TILE_MEDIA[kind]
    if kind in TILE_MEDIA and kind not in {"GeoDataFrame", "GeoSeries"}:
        assert answer.status == 200
