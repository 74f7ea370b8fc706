"""Runs of `Udf` objects: the code travels with the request."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from real_jupyter import Answer, JupyterServer

if TYPE_CHECKING:
    from conftest import Client

START = "fused/server/v1/realtime/local/api/v1/run/udf/start"
GET = "fused/server/v1/realtime/local/api/v1/run/udf/get"


def body(code: str, **more: Any) -> bytes:
    """What the client posts for a UDF."""
    udf = {"type": "geopandas_v2", "name": "udf", "entrypoint": "udf", "parameters": {}, "code": code, "headers": []}
    return json.dumps({"step_config": json.dumps({"type": "udf", "udf": udf}), "format": "json"} | more).encode()


def post(server: JupyterServer, path: str, content: bytes, *, run_id: str | None = None, **options: Any) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"Fused-Run-Id": run_id} if run_id else {})
    return server.request("POST", path, body=content, headers=headers, **options)


def test_udf_object_runs_here(client: Client) -> None:
    """Its arguments are coerced by their annotations, though they travel as text."""
    value = client("""
udf = make('''
@fused.udf
def udf(n: int, names: list = None, table: dict = None, scale: float = 0.5, flag: bool = True, nothing=1):
    return [n, names, table, scale, flag, nothing]
''')
fused.run(udf, n=3, names=["a", "b"], table={"k": [1]}, scale=2, flag=False, nothing=None)
""")

    assert value == [3, ["a", "b"], {"k": [1]}, 2.0, False, None]


def test_default_parameters_and_headers_travel(client: Client) -> None:
    """`set_parameters` counts like an argument; a header module can be imported."""
    value = client("""
udf = make('''
@fused.udf
def udf(n: int = 1, m: int = 1):
    from helper import FACTOR
    return [n * FACTOR, m * FACTOR]
''').set_parameters({"n": 5})
from fused.models.udf import Header
udf.headers = [Header(module_name="helper", source_code="FACTOR = 10", source_file="helper.py")]
fused.run(udf, m=2)
""")

    assert value == [50, 20]


def test_tile_is_the_bounds_of_the_udf(client: Client) -> None:
    """Those of 3/1/2, as mercantile has them."""
    west, south, east, north = client("""
udf = make('''
@fused.udf
def udf(bounds: fused.types.Bounds = None):
    return list(bounds)
''')
fused.run(udf, x=1, y=2, z=3)
""")

    assert (west, east) == (-135.0, -90.0)
    assert (round(south, 4), round(north, 4)) == (40.9799, 66.5133)


def test_async_run_gives_the_same(client: Client) -> None:
    """It posts and waits, and does not poll."""
    assert client("asyncio.run(fused.run_async(make('@fused.udf\\ndef udf(n: int):\\n    return n + 1'), n=4))") == 5


KINDS = {
    "pd.DataFrame({'x': [1, 2]})": "['DataFrame', [1, 2]]",
    "gpd.GeoDataFrame({'x': [1]}, geometry=[Point(1, 2)], crs=4326)": "['GeoDataFrame', 4326, 'POINT (1 2)']",
    "np.arange(6, dtype='int16').reshape(2, 3)": "['ndarray', 'int16', [[0, 1, 2], [3, 4, 5]]]",
    "(np.ones((2, 2), dtype='float32'), (0, 0, 1, 1))": "['tuple', [[1.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 1.0, 1.0]]",
    "xr.DataArray([[1.0, 2.0]], dims=('y', 'x'), coords={'y': [1.0], 'x': [0.0, 1.0]})": "['DataArray', [1.0, 2.0]]",
    "{'table': pd.DataFrame({'x': [3]}), 'n': 4}": "['dict', [3], 4]",
    "'<b>hi</b>'": "'<b>hi</b>'",
    "[1, None, 'a', {'b': 2.5}]": "[1, None, 'a', {'b': 2.5}]",
    "7": "7",
    "None": "None",
}
DESCRIBE = """
def describe(value):
    kind = type(value).__name__
    if kind == "DataFrame":
        return [kind, value["x"].tolist()]
    if kind == "GeoDataFrame":
        return [kind, value.crs.to_epsg(), value.geometry[0].wkt]
    if kind == "ndarray":
        return [kind, str(value.dtype), value.tolist()]
    if kind == "tuple":
        return [kind, value[0].tolist(), list(value[1])]
    if kind == "DataArray":
        return [kind, value.values.ravel().tolist()]
    if kind == "dict":
        return [kind, value["table"]["x"].tolist(), value["n"]]
    return value
"""


@pytest.mark.parametrize("expression", KINDS)
def test_each_kind_of_result_comes_back_as_that_kind(expression: str, client: Client) -> None:
    """The client decodes by the exact content type, and names the formats it reads: npy, tiff, parquet, json."""
    imports = "import geopandas as gpd, numpy as np, pandas as pd, xarray as xr\n    from shapely import Point"
    code = f"@fused.udf\ndef udf():\n    {imports}\n    return {expression}"

    value = client(f"{DESCRIBE}\ndescribe(fused.run(make({code!r})))")

    assert value == eval(KINDS[expression])


def test_empty_tile_is_none(client: Client) -> None:
    """Of our own tiles the status would be 204, which the client takes for no answer at all."""
    assert client("fused.run(make('@fused.udf\\ndef udf(bounds=None):\\n    return None'), x=0, y=0, z=0)") is None


def test_exception_of_a_udf_has_its_line_and_class(client: Client) -> None:
    """`UdfRuntimeError`, what was printed before it, and nothing that the client would try again."""
    said = client.answer('fused.run(make(\'@fused.udf\\ndef udf():\\n    print("so far")\\n    return {}["x"]\'))')

    assert said.error is not None
    assert (said.error["type"], said.error["child"]) == ("UdfRuntimeError", "KeyError")
    assert said.error["message"] == "The UDF returned the following error in line 4:\nKeyError: 'x'"
    assert said.stdout == "so far\n"


def test_async_exception_is_the_same(client: Client) -> None:
    """That half of the client understands no other status than 422."""
    error = client.error("asyncio.run(fused.run_async(make('@fused.udf\\ndef udf():\\n    return 1 / 0')))")

    assert (error["type"], error["child"]) == ("UdfRuntimeError", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("code", "arguments", "kind", "text"),
    [
        ("def udf(n: int):\n    return n", "n='many'", "UdfRuntimeError", "n: got 'many', need a whole number"),
        ("def udf():\n    return lambda: 1", "", "UdfSerializationError", "which no format can carry"),
        ("def udf():\n    import os; os._exit(3)", "", "UdfRuntimeError", "exit code 3"),
        ("def udf(*n):\n    return n", "", "UdfRuntimeError", "arguments come by name"),
    ],
)
def test_other_errors_of_a_run_say_what_is_wrong(
    code: str, arguments: str, kind: str, text: str, client: Client
) -> None:
    """Arguments, results, a lost process, code that is no UDF."""
    error = client.error(f"fused.run(make({'@fused.udf' + chr(10) + code!r}), {arguments})")

    assert error["type"] == kind
    assert text in error["message"]


def test_output_is_in_the_response(client: Client) -> None:
    """Printed where somebody asks for it."""
    said = client.answer("fused.run(make('@fused.udf\\ndef udf():\\n    print(\"ünï\")\\n    return 1'), verbose=True)")

    assert (said.value, said.stdout) == (1, "ünï\n")


def test_kept_result_is_marked(client: Client, counter: Callable[[], int], tmp_path: Path) -> None:
    """Equal code and arguments run once, unless nothing is to be kept."""
    code = f"@fused.udf\ndef udf(n: int):\n    open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')\n    return n"
    client(f"once = make({code!r})\nis_cached = lambda **k: fused.run(once, n=1, _return_response=True, **k).is_cached")

    assert client("[is_cached(), is_cached(), is_cached(cache=False)]") == [False, True, False]
    assert counter() == 2


def test_long_run_is_asked_after_until_its_end(client: Client) -> None:
    """And one that takes too long is stopped: `UdfTimeoutError`. Both at once, as they take long."""
    long, timeout = client("""
import threading
sleepy = make('''
@fused.udf
def udf(seconds: float):
    import time
    time.sleep(seconds)
    return seconds
''')
found = {}
def wait(seconds):
    try:
        found[seconds] = fused.run(sleepy, seconds=seconds, cache=False)
    except Exception as exc:
        found[seconds] = type(exc).__name__
threads = [threading.Thread(target=wait, args=[seconds]) for seconds in (4.5, 60.0)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
[found[4.5], found[60.0]]
""")

    assert long == 4.5
    assert timeout == "UdfTimeoutError"


def test_resent_start_is_one_run(client: Client, counter: Callable[[], int], tmp_path: Path) -> None:
    """The client gives up waiting and posts again, with the same id."""
    code = (
        "@fused.udf\ndef udf():\n    import time\n"
        f"    open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')\n    time.sleep(2.2)\n    return 'once'"
    )

    answer, told = client(f"""
import logging
told = []
handler = logging.Handler()
handler.emit = lambda record: told.append(record.getMessage())
logging.getLogger("urllib3.connectionpool").addHandler(handler)
fused.options.request_timeout = 1
try:
    answer = fused.run(make({code!r}))
finally:
    fused.options.request_timeout = 5
[answer, told]
""")

    assert answer == "once"
    assert "Retrying" in told[0]
    assert counter() == 1


def test_start_means_the_same_run_after_its_end(
    jupyter: JupyterServer, counter: Callable[[], int], tmp_path: Path
) -> None:
    """Its result is there a little longer, for who did not get it; the id is that of no other code."""
    run_id = str(uuid.uuid4())
    code = f"def udf():\n    open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')\n    return 'once'"
    never = {"cache": False}

    answers = [post(jupyter, START, body(code, **never), run_id=run_id) for _ in range(2)]
    answers.append(jupyter.get(f"{GET}/{run_id}"))
    other = post(jupyter, START, body(code + " + '!'", **never), run_id=run_id)

    assert [(answer.status, answer.json()) for answer in answers] == [(200, "once")] * 3
    assert counter() == 1
    assert other.status == 422
    assert "use a new id" in other.json()["detail"]


def test_start_of_a_long_run_answers_before_the_client_gives_up(jupyter: JupyterServer) -> None:
    """202 within five seconds, and so does who asks after it."""
    run_id = str(uuid.uuid4())
    code = "def udf():\n    import time\n    time.sleep(5)\n    return 1"

    start = post(jupyter, START, body(code, cache=False), run_id=run_id)
    got = jupyter.get(f"{GET}/{run_id}")

    assert start.status == 202
    assert start.headers["Fused-Run-Id"] == run_id
    assert start.seconds < 4.5
    assert (got.status, got.json()) == (200, 1)


def test_unknown_run_is_said_to_be_unknown(jupyter: JupyterServer) -> None:
    """404, with a sentence where the client looks for it."""
    answer = jupyter.get(f"{GET}/{uuid.uuid4()}")

    assert answer.status == 404
    assert "there is no run" in answer.json()["detail"]


def test_submit_runs_many(client: Client) -> None:
    """It has no route of its own."""
    table = client("""
udf = make('''
@fused.udf
def udf(n: int):
    import pandas as pd
    return pd.DataFrame({"square": [n * n]})
''')
frame = fused.submit(udf, [1, 2, 3, 4], max_workers=4)
sorted(frame["square"].tolist())
""")

    assert table == [1, 4, 9, 16]


def test_run_without_polling(client: Client) -> None:
    """One request that takes as long as the run."""
    assert client("fused.run(make('@fused.udf\\ndef udf():\\n    return 3'), _use_polling=False)") == 3


def test_script_as_somebody_writes_it(client: Client, tmp_path: Path) -> None:
    """The decorator, a call, a table of calls."""
    script = tmp_path / "script.py"
    script.write_text(
        "import fused\n\n"
        "@fused.udf(cache_max_age='1h')\n"
        "def towns(n: int = 2):\n"
        "    '''Some towns.'''\n"
        "    import pandas as pd\n"
        "    return pd.DataFrame({'town': ['Ulm', 'Bern', 'Graz'][:n]})\n\n"
        "called = towns(n=3)\n"
    )

    assert client(f"import runpy\nrunpy.run_path({str(script)!r})['called']['town'].tolist()") == [
        "Ulm",
        "Bern",
        "Graz",
    ]


# -- the short form, as the reference shows it for curl


def test_posted_code_runs_by_the_short_address(jupyter: JupyterServer) -> None:
    """The example of "Calling UDFs without Python SDK"; a table of no geometry is no GeoJSON, so it is said."""
    code = '@fused.udf\ndef udf(name: str = "world"):\n import pandas as pd\n return pd.DataFrame({"hello": [name]})\n'
    udf = {"type": "geopandas_v2", "name": "my_udf", "entrypoint": "udf", "parameters": {}, "metadata": {}}
    step = json.dumps({"type": "udf", "udf": {**udf, "code": code, "headers": []}})
    content = {"step_config": step, "dtype_in": "json", "format": "json", "cache": True}

    answer = post(jupyter, "fused/run/udf", json.dumps(content).encode())

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == [{"hello": "world"}]


@pytest.mark.parametrize("path", ["fused/run/udf", START, "fused/server/v1/realtime/local/api/v1/run/udf"])
def test_nobody_else_posts_code(path: str, jupyter: JupyterServer, counter: Callable[[], int], tmp_path: Path) -> None:
    """Not without the token, not with a wrong one, not with a cookie from another site's page."""
    content = body(f"def udf():\n    open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')")

    bare = post(jupyter, path, content, login=False)
    wrong = jupyter.request("POST", path, body=content, headers={"Authorization": "Fused-Env-Bearer wrong"})

    assert (bare.status, wrong.status) == (403, 403)
    time.sleep(0.2)
    assert counter() == 0


@pytest.mark.parametrize("scheme", ["Bearer", "Fused-Env-Bearer", "Fused-Rtenv-Bearer", "Fused-Service-Token", "token"])
def test_every_scheme_of_the_client_is_taken(scheme: str, jupyter: JupyterServer) -> None:
    """It sends one and the same secret under several names."""
    headers = {"Authorization": f"{scheme} {jupyter.token}"}

    answer = jupyter.request("POST", "fused/run/udf", body=body("def udf():\n    return 1"), headers=headers)

    assert (answer.status, answer.json()) == (200, 1)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "no JSON"),
        (b"[]", "an object is needed"),
        (b"{}", "step_config"),
        (b'{"step_config": "{"}', "step_config is no JSON"),
        (b'{"step_config": {"type": "partition"}}', "only"),
        (b'{"step_config": {"udf": {"code": "x = 1"}}}', "no function"),
        (b'{"step_config": {"udf": {"name": "a"}}}', '"code"'),
        (b'{"step_config": {"udf": {"code": "def f(): pass", "parameters": [1]}}}', "parameters"),
        (b'{"step_config": {"input": [1], "udf": {"code": "def f(): pass"}}}', "batch"),
    ],
)
def test_what_is_no_udf_is_refused_with_a_reason(sent: bytes, said: str, jupyter: JupyterServer) -> None:
    """422, and the client shows the sentence."""
    answer = post(jupyter, "fused/run/udf", sent)

    assert answer.status == 422
    assert said in answer.json()["detail"]
