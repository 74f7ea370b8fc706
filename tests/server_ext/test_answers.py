"""What the routes answer, on a real server with a real kernel."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from real_jupyter import Answer, JupyterServer, Kernel

Ask = Callable[..., Answer]

CLIENT = "profile=False&fused_cache_disable_stream=true&_stream_logs=false&fused_session_token=x"
"""What Fused's own client adds to its addresses."""


@pytest.fixture(scope="module")
def shapes(kernel: Kernel) -> None:
    """UDFs that return one kind of value each."""
    kernel.define(
        """
        import geopandas as gpd, shapely
        @fused.udf
        def places(bounds: fused.types.Bounds = None, name: str = "Rome"):
            return gpd.GeoDataFrame({"name": [name]}, geometry=[shapely.Point(12.5, 41.9)], crs=4326)
        """
    )
    kernel.define(
        """
        import numpy as np
        def grid(bounds: fused.types.Bounds = None):
            return np.full((3, 8, 8), 200, "uint8")
        """
    )
    kernel.define("def page():\n    return '<script>alert(1)</script>'")
    kernel.define("def nothing():\n    return None")
    kernel.define(
        "def empty():\n    import geopandas as gpd\n    return gpd.GeoDataFrame({'a': []}, geometry=[], crs=4326)"
    )
    kernel.define("def odd():\n    return object()")
    kernel.define("def strict_int(n: int):\n    return n")
    kernel.define("def broken():\n    secret = 1\n    return secret / 0")


# -- formats


@pytest.mark.parametrize(
    ("address", "media_type"),
    [
        ("file/places", "application/octet-stream"),
        ("file/places.geojson", "application/geo+json"),
        ("file/places.csv", "text/csv; charset=utf-8"),
        ("file/places.json", "application/json"),
        ("file/places.parquet", "application/octet-stream"),
        ("file/places?format=geojson", "application/geo+json"),
        ("file/places?dtype_out_vector=csv", "text/csv; charset=utf-8"),
        ("file/places.geojson?format=csv&dtype_out_vector=json", "application/geo+json"),
        ("file/places?format=csv&dtype_out_vector=json", "text/csv; charset=utf-8"),
        ("file/places?format=&dtype_out_vector=json", "application/json"),
        ("tiles/places/0/0/0", "application/vnd.mapbox-vector-tile"),
        ("tiles/places/0/0/0.mvt", "application/vnd.mapbox-vector-tile"),
        ("tiles/places/0/0/0.pbf", "application/vnd.mapbox-vector-tile"),
        ("tiles/places/0/0/0.geojson", "application/geo+json"),
        ("tiles/grid/0/0/0", "image/png"),
        ("tiles/grid/0/0/0.png", "image/png"),
        ("tiles/grid/0/0/0?dtype_out_raster=png", "image/png"),
        ("file/page", "text/html; charset=utf-8"),
        ("file/page.json", "application/json"),
        ("file/echo", "application/json"),
    ],
)
@pytest.mark.usefixtures("shapes")
def test_the_format_is_the_one_asked_for(address: str, media_type: str, ask: Ask) -> None:
    """Extension before `format` before `dtype_out_*` before the value's own."""
    answer = ask(f"fused/run/{address}")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == media_type
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0


@pytest.mark.parametrize("address", ["file/echo.exe", "file/echo?format=nonsense", "file/echo?=nonsense"])
@pytest.mark.usefixtures("shapes")
def test_an_unknown_format_is_400(address: str, ask: Ask) -> None:
    """The error says which there are."""
    answer = ask(f"fused/run/{address}")

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["type"] == "FormatError"
    assert "parquet" in answer.json()["error"]


@pytest.mark.parametrize(
    ("address", "accept", "fitting"),
    [
        ("file/places.png", "*/*", "geojson"),
        ("file/places?format=png,webp", "*/*", "geojson"),
        ("file/places?dtype_out_vector=png", "*/*", "geojson"),
        ("file/places", "image/png", "geojson"),
        ("file/places", "application/x-of-my-own", "geo+json"),
        ("tiles/grid/0/0/0.mvt", "*/*", "png"),
    ],
)
@pytest.mark.usefixtures("shapes")
def test_a_format_that_cannot_hold_the_value_is_406(address: str, accept: str, fitting: str, ask: Ask) -> None:
    """However it was asked for; the error names the formats that can."""
    answer = ask(f"fused/run/{address}", headers={"Accept": accept})

    assert answer.status == 406
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["type"] == "NotAcceptableError"
    assert fitting in answer.json()["error"]


@pytest.mark.parametrize(
    ("address", "accept", "media_type"),
    [
        ("file/places", "text/csv", "text/csv; charset=utf-8"),
        ("file/places", "image/png;q=0.9, application/geo+json;q=0.1", "application/geo+json"),
        ("file/places", "text/csv, */*;q=0.1", "application/octet-stream"),
        ("file/places.json", "text/csv", "application/json"),
        ("file/places?=geojson", "text/csv", "application/geo+json"),
        ("file/places?format=npy,tiff,parquet,json", "text/csv", "application/octet-stream"),
        ("file/echo?format=npy,tiff,parquet,json", "text/csv", "application/json"),
    ],
)
@pytest.mark.usefixtures("shapes")
def test_accept_is_the_last_word_of_the_request(address: str, accept: str, media_type: str, ask: Ask) -> None:
    """It counts where the address says nothing, and where it does not take everything anyway."""
    answer = ask(f"fused/run/{address}", headers={"Accept": accept})

    assert answer.headers["Content-Type"] == media_type
    assert ("Accept" in answer.headers["Vary"].split(", ")) is (address == "file/places")


# -- arguments


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"n": 1, "word": "", "tags": None}),
        ("n=3&word=a%20b%2Bc", {"n": 3, "word": "a b+c", "tags": None}),
        ("word=" + quote("żółć 🦆"), {"n": 1, "word": "żółć 🦆", "tags": None}),
        ("tags=a&tags=b", {"n": 1, "word": "", "tags": ["a", "b"]}),
        ("tags=[1,2]", {"n": 1, "word": "", "tags": [1, 2]}),
        ("format=json&cache_max_age=0&v=x&_xsrf=y&n=2", {"n": 2, "word": "", "tags": None}),
        ("=json&n=2", {"n": 2, "word": "", "tags": None}),
        (CLIENT + "&n=2", {"n": 2, "word": "", "tags": None}),
    ],
)
def test_the_query_is_the_arguments(query: str, expected: object, ask: Ask) -> None:
    """Typed by the UDF's annotations; reserved names are not among them."""
    assert ask(f"fused/run/file/echo?{query}").json() == expected


def test_what_clients_add_is_no_argument_unless_the_udf_wants_it(kernel: Kernel, ask: Ask) -> None:
    """A UDF that takes everything does not see it, one that names it does; `format` is always ours."""
    kernel.define("def takes_all(n: int = 1, **rest):\n    return rest")
    kernel.define("def takes_profile(profile: str = 'none', format: str = 'own'):\n    return [profile, format]")

    assert ask(f"fused/run/file/takes_all?{CLIENT}&format=json&x=1").json() == {"x": "1"}
    assert ask("fused/run/file/takes_profile?profile=height&format=json").json() == ["height", "own"]


def test_a_parameter_may_have_any_name_that_python_allows(kernel: Kernel, ask: Ask) -> None:
    """Also one with letters that a URL has to quote."""
    kernel.define("def measured(größe: float = 1.0):\n    return größe")

    assert ask(f"fused/run/file/measured?{quote('größe')}=2.5").json() == 2.5


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"n": 4, "tags": ["x", "y"]}'),
        ("", b'{"n": 4, "tags": ["x", "y"]}'),
        ("application/x-www-form-urlencoded", b"n=4&tags=x&tags=y&_xsrf=z"),
        (
            "multipart/form-data; boundary=b",
            b"".join(
                b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % field
                for field in ((b"n", b"4"), (b"tags", b"x"), (b"tags", b"y"))
            )
            + b"--b--\r\n",
        ),
    ],
)
def test_a_body_is_arguments_over_those_of_the_query(
    content_type: str, body: bytes, server: JupyterServer, kernel: Kernel
) -> None:
    """JSON or a form, whichever the caller has."""
    answer = server.request("POST", "fused/run/file/echo?n=1&word=w", headers={"Content-Type": content_type}, body=body)

    assert answer.json() == {"n": 4, "word": "w", "tags": ["x", "y"]}


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff\xfe", b"n=4", b"x" * 1_000_001, b"[" * 2000])
def test_a_garbage_body_is_422(body: bytes, server: JupyterServer, kernel: Kernel, runs: Callable[[], int]) -> None:
    """Said by the server; the host is not bothered."""
    before = runs()

    answer = server.request("POST", "fused/run/file/echo", headers={"Content-Type": "application/json"}, body=body)

    assert answer.status == 422
    assert answer.json()["type"] == "ArgumentError"
    assert runs() == before


# -- errors


@pytest.mark.parametrize(
    ("address", "status", "kind"),
    [
        ("fused/run/file/ech", 404, "UnknownUdfError"),
        ("fused/run/file/ech.json", 404, "UnknownUdfError"),
        ("fused/run/tiles/ech/0/0/0", 404, "UnknownUdfError"),
        ("fused/udfs/ech", 404, "UnknownUdfError"),
        ("fused/run/tiles/ech/tilejson.json", 404, "UnknownUdfError"),
        ("fused/run/tiles/echo/0/0", 404, "UnknownUdfError"),
        ("fused/run/file/", 404, "UnknownUdfError"),
        ("fused/", 404, "UnknownUdfError"),
        ("fused", 404, "UnknownUdfError"),
        ("fused/static/loader.js", 404, "UnknownUdfError"),
        ("fused/static/..%2fmap.js", 404, "UnknownUdfError"),
        ("fused/static/%00", 404, "UnknownUdfError"),
        ("fused/static/map.js?v=0000000000000000", 404, "UnknownUdfError"),
        ("fused/run/file/echo?kernel=nobody", 404, "UnknownUdfError"),
        ("fused/run/tiles/echo/a/b/c", 400, "TileError"),
        ("fused/run/tiles/echo/1/2/0", 400, "TileError"),
        ("fused/run/tiles/echo/-1/0/0", 400, "TileError"),
        ("fused/run/tiles/echo/0/0/-1.png", 400, "TileError"),
        ("fused/run/tiles/echo/31/0/0", 400, "TileError"),
        (f"fused/run/tiles/echo/{2**64}/0/0", 400, "TileError"),
        ("fused/run/tiles/echo/0/%00/0", 400, "TileError"),
        ("fused/run/tiles/echo/0/..%2f/0", 400, "TileError"),
        (f"fused/run/tiles/echo/0/{quote(chr(0x660))}/0", 400, "TileError"),
        ("fused/run/file/echo?n=x", 422, "ArgumentError"),
        ("fused/run/file/echo?unknown=1", 422, "ArgumentError"),
        ("fused/run/file/echo?n=%ff", 422, "ArgumentError"),
        ("fused/run/file/strict_int", 422, "ArgumentError"),
        ("fused/run/file/echo?cache_max_age=soon", 422, "ArgumentError"),
        ("fused/run/file/broken", 422, "UdfRuntimeError"),
        ("fused/run/file/odd", 422, "UdfSerializationError"),
    ],
)
@pytest.mark.usefixtures("shapes")
def test_errors_are_json_with_their_status(address: str, status: int, kind: str, ask: Ask) -> None:
    """What went wrong, in one form for all routes."""
    answer = ask(address)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["type"] == kind
    assert answer.json()["status"] == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "echo%00",
        "echo%0a",
        quote("écho"),
        "1echo",
        "a" * 65,
        "echo%2f",
        "%2e%2e",
        "a-b",
        "%ff",
    ],
)
@pytest.mark.parametrize(
    "route", ["fused/run/file/{}", "fused/run/tiles/{}/0/0/0", "fused/udfs/{}", "fused/run/file/{}?kernel={id}"]
)
def test_no_garbage_names_a_udf(name: str, route: str, ask: Ask, kernel: Kernel, runs: Callable[[], int]) -> None:
    """A UDF's name is never a path; what cannot be one is not looked for."""
    before = runs()

    answer = ask(route.format(name, id=kernel.id))

    assert answer.status in {400, 404}
    assert answer.headers["Content-Type"] == "application/json"
    assert runs() == before


def test_an_unknown_name_gets_the_nearest_ones(ask: Ask) -> None:
    """A typing error is not a riddle."""
    assert "did you mean echo" in ask("fused/run/file/ecko").json()["error"]


@pytest.mark.usefixtures("shapes")
def test_the_owner_sees_the_line_and_the_traceback(ask: Ask) -> None:
    """The error names the line as the editor shows it."""
    error = ask("fused/run/file/broken").json()

    assert error["child_exception_class"] == "ZeroDivisionError"
    assert error["source_line"].strip() == "return secret / 0"
    assert error["line"] == 4
    assert "ZeroDivisionError" in error["traceback"]
    assert "fused_jupyter/" not in error["traceback"]


def test_an_argument_error_names_the_parameter(ask: Ask) -> None:
    """What came and what was wanted."""
    error = ask("fused/run/file/echo?n=many").json()

    assert error["parameter"] == "n"
    assert "many" in error["error"]


def test_a_lost_worker_is_500_and_costs_nobody_else(kernel: Kernel, ask: Ask) -> None:
    """The process of the call is gone; the next call is answered."""
    kernel.define("def dies():\n    import os\n    os._exit(3)")

    answer = ask("fused/run/file/dies")

    assert answer.status == 500
    assert answer.json()["type"] == "WorkerLostError"
    assert "exit code 3" in answer.json()["error"]
    assert ask("fused/run/file/echo?n=500").json()["n"] == 500


@pytest.mark.parametrize("address", ["fused/run/tiles/slow/0/0/0", "fused/run/file/slow"])
def test_a_deadline_is_504(address: str, hasty: Kernel, ask: Ask) -> None:
    """The worker is stopped, and the next call has another one."""
    answer = ask(f"{address}?kernel={hasty.id}")

    assert answer.status == 504
    assert answer.json()["type"] == "UdfTimeoutError"
    assert ask(f"fused/run/file/slow?kernel={hasty.id}&seconds=0").json() == 0


def test_no_free_worker_is_503_with_retry_after(hasty: Kernel, ask: Ask) -> None:
    """Who comes when all are busy is told when to come again."""
    first = threading.Thread(target=ask, args=(f"fused/run/file/slow?kernel={hasty.id}&seconds=61",))
    first.start()
    hasty.wait_for_status(lambda status: status["workers"]["busy"] == 1)

    answer = ask(f"fused/run/file/slow?kernel={hasty.id}&seconds=0.001")

    first.join()
    assert answer.status == 503
    assert answer.json()["type"] == "BusyError"
    assert int(answer.headers["Retry-After"]) > 0


# -- emptiness


@pytest.mark.parametrize("udf", ["nothing", "empty"])
@pytest.mark.usefixtures("shapes")
def test_an_empty_tile_is_no_error(udf: str, ask: Ask) -> None:
    """204 for vectors and where nobody says; a transparent picture where a picture is wanted."""
    for extension in ("", ".mvt"):
        answer = ask(f"fused/run/tiles/{udf}/0/0/0{extension}")
        assert answer.status == 204
        assert answer.body == b""
        assert "Content-Type" not in answer.headers
    picture = Image.open(io.BytesIO(ask(f"fused/run/tiles/{udf}/0/0/0.png").body))
    assert picture.convert("RGBA").getextrema()[3] == (0, 0)


# -- caching


def test_the_second_answer_comes_from_the_cache(kernel: Kernel, ask: Ask, runs: Callable[[], int]) -> None:
    """And says so; the UDF has run once."""
    kernel.define("def counted_once(n: int = 0):\n    return n")
    before = kernel.status()["runs"]

    first, second = (ask("fused/run/file/counted_once?n=1") for _ in range(2))

    assert "x-fused-cached" not in first.headers
    assert second.headers["x-fused-cached"] == "1"
    assert first.body == second.body
    assert kernel.status()["runs"] == before + 1


def test_who_has_the_etag_gets_304(kernel: Kernel, server: JupyterServer) -> None:
    """Nothing runs and nothing is sent; other code or arguments have another ETag."""
    kernel.define("def tagged(n: int = 0):\n    return n")
    etag = server.get("fused/run/file/tagged").headers["ETag"]
    before = kernel.status()["runs"]

    again = server.get("fused/run/file/tagged", headers={"If-None-Match": etag})

    assert again.status == 304
    assert again.body == b""
    assert again.headers["ETag"] == etag
    assert kernel.status()["runs"] == before
    assert server.get("fused/run/file/tagged?n=1", headers={"If-None-Match": etag}).status == 200
    kernel.define("def tagged(n: int = 0):\n    return n + 1")
    assert server.get("fused/run/file/tagged", headers={"If-None-Match": etag}).json() == 1


def test_only_an_address_with_the_version_may_be_kept(kernel: Kernel, ask: Ask) -> None:
    """Without it the browser asks each time; with that of older code as well."""
    kernel.define("def versioned():\n    return 1")
    digest = ask("fused/udfs/versioned").json()["digest"]

    assert ask("fused/run/file/versioned").headers["Cache-Control"] == "private, no-cache"
    assert ask("fused/run/file/versioned?v=other").headers["Cache-Control"] == "private, no-cache"
    kept = ask(f"fused/run/file/versioned?v={digest}").headers["Cache-Control"]
    assert kept.startswith("private, max-age=")
    assert kept.endswith("immutable")


def test_an_address_with_an_old_version_gives_the_old_code(kernel: Kernel, ask: Ask) -> None:
    """What a URL says never changes under it."""
    kernel.define("def pinned_code():\n    return 'old'")
    digest = ask("fused/udfs/pinned_code").json()["digest"]
    kernel.define("def pinned_code():\n    return 'new'")

    assert ask(f"fused/run/file/pinned_code.json?v={digest}").json() == "old"
    assert ask("fused/run/file/pinned_code.json").json() == "new"


def test_a_udf_that_keeps_nothing_any_more_runs_each_time(kernel: Kernel, ask: Ask) -> None:
    """The same code, but the cell says `--cache-max-age 0` now: what was kept before is not given any more."""
    source = "import time\ndef aging():\n    return time.time()"
    kernel.define(source)
    assert ask("fused/run/file/aging").body == ask("fused/run/file/aging").body

    kernel.define(source, options="--cache-max-age 0")

    assert ask("fused/run/file/aging").body != ask("fused/run/file/aging").body


def test_a_udf_in_another_directory_is_another_udf(kernel: Kernel, ask: Ask, tmp_path: Path) -> None:
    """Relative paths start where the cell ran; the same code elsewhere has other results."""
    source = "import os\ndef place():\n    return os.getcwd()"
    kernel.define(source)
    home = ask("fused/run/file/place.json").json()

    kernel.execute(f"import os; os.chdir({str(tmp_path)!r})").check()
    kernel.define(source)
    moved = ask("fused/run/file/place.json").json()
    kernel.execute(f"os.chdir({home!r})").check()

    assert moved == str(tmp_path) != home


def test_no_age_no_store(ask: Ask, kernel: Kernel) -> None:
    """`cache_max_age=0` runs each time and keeps nothing anywhere."""
    before = kernel.status()["runs"]

    answers = [ask("fused/run/file/echo?n=77&cache_max_age=0") for _ in range(2)]

    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store", "no-store"]
    assert "ETag" not in answers[0].headers
    assert kernel.status()["runs"] == before + 2


# -- what there is


@pytest.mark.usefixtures("shapes")
def test_the_list_tells_parameters_as_json_schema(ask: Ask, kernel: Kernel) -> None:
    """Name, version, kernel and types; no code."""
    listed = {udf["name"]: udf for udf in ask("fused/udfs").json()["udfs"]}

    assert listed["echo"] == ask("fused/udfs/echo").json()
    assert listed["echo"]["kernel"] == kernel.id
    assert listed["echo"]["schema"]["type"] == "object"
    assert listed["echo"]["schema"]["properties"]["n"] == {"type": "integer", "default": 1}
    assert listed["strict_int"]["schema"]["required"] == ["n"]
    assert listed["places"]["spatial"] == "bounds"
    assert "return" not in json.dumps(listed)


@pytest.mark.usefixtures("shapes")
def test_tilejson_is_what_a_map_library_wants(ask: Ask, kernel: Kernel) -> None:
    """Its tile address works as it stands, keeps the arguments, and names no token."""
    answer = ask(f"fused/run/tiles/places/tilejson.json?name={quote('Zürich & co')}&v=1")
    described = answer.json()

    assert described["tilejson"] == "3.0.0"
    assert [layer["id"] for layer in described["vector_layers"]] == ["udf"]
    (template,) = described["tiles"]
    assert "token" not in template
    assert f"kernel={kernel.id}" in template
    tile = ask(template.format(z=0, x=0, y=0))
    assert tile.headers["Content-Type"] == "application/vnd.mapbox-vector-tile"
    assert "Zürich & co".encode() in tile.body


@pytest.mark.usefixtures("shapes")
def test_tilejson_of_pictures_has_no_vector_layers(ask: Ask) -> None:
    """`format=png` makes a raster source."""
    for search, media_type in {"format=png": "image/png", "=webp": "image/webp", "format=gif,png": "image/gif"}.items():
        described = ask(f"fused/run/tiles/grid/tilejson.json?{search}").json()

        assert "vector_layers" not in described
        assert ask(described["tiles"][0].format(z=0, x=0, y=0)).headers["Content-Type"] == media_type


def test_ping_tells_whether_the_kernel_can_be_asked(ask: Ask, kernel: Kernel) -> None:
    """For a map that looks for its server."""
    assert ask(f"fused/ping?kernel={kernel.id}").json()["alive"] is True
    assert ask("fused/ping?kernel=nobody").json()["alive"] is False
    assert ask("fused/ping").json()["protocol"] == 1


def test_the_map_code_is_of_the_version_asked_for(ask: Ask) -> None:
    """With its hash it may be kept for ever."""
    from fused_jupyter.widgets._assets import bundle_hash

    answer = ask(f"fused/static/map.js?v={bundle_hash()}")

    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
