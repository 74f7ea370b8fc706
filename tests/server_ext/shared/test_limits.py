"""What whoever has a token may do, and what not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_jupyter import Answer, JupyterServer

from fused_jupyter.storage import Library
from fused_jupyter.udfs import parse

Open = Callable[..., Answer]
Grant = Callable[..., str]
SECRET = "/home/ana/secret.csv"
BOTH = pytest.mark.parametrize("kind", ["live", "saved", "collection"])


@pytest.fixture
def make(grant: Grant, live: Grant) -> Callable[..., str]:
    """A token for `report`, with what comes before its rest."""

    def made(kind: str, udf: str = "report", **limits: object) -> str:
        makers = {"live": lambda: live(udf, **limits), "saved": lambda: grant(udf, **limits)}
        return f"{grant(**limits)}/{udf}" if kind == "collection" else makers[kind]()

    return made


@BOTH
def test_only_allowed_arguments_come_by_any_form(kind: str, make: Grant, open_: Open) -> None:
    """In the query, in a body, for a tile."""
    token = make(kind, parameters=("n",))

    assert open_(f"fused/{token}.json?n=3").json()["n"] == 3
    refused = [
        open_(f"fused/{token}.json?how=raise"),
        open_(f"fused/{token}/run?format=json&more=1"),
        open_(f"fused/{token}/run/tiles/0/0/0.json?how=raise"),
        open_(f"fused/{token}.json", method="POST", body=b'{"how": "raise"}', **{"Content-Type": "application/json"}),
    ]
    assert {answer.status for answer in refused} == {422}
    assert all("does not allow the argument" in answer.json()["error"] for answer in refused)


@BOTH
def test_only_allowed_formats_come_by_any_form(kind: str, make: Grant, open_: Open) -> None:
    """However they are named; where none is, an allowed one comes."""
    token = make(kind, "picture", formats=("webp",))

    for form in (".webp", "/run/file.webp", "/run?format=webp", "?=webp", "/run/tiles/0/0/0", ""):
        assert open_(f"fused/{token}{form}").headers["Content-Type"] == "image/webp", form
    for form in (".png", "/run/file.npy", "/run?format=png", "?=png", "/run/tiles/0/0/0.png"):
        assert open_(f"fused/{token}{form}").status == 400, form


@BOTH
def test_only_allowed_zooms_come(kind: str, make: Grant, open_: Open) -> None:
    """Files have none."""
    token = make(kind, "picture", zooms=(2, 4))

    statuses = {zoom: open_(f"fused/{token}/run/tiles/{zoom}/0/0.png").status for zoom in (1, 2, 4, 5)}

    assert statuses == {1: 400, 2: 200, 4: 200, 5: 400}
    assert open_(f"fused/{token}.png").status == 200


@BOTH
@pytest.mark.parametrize(
    "tile", ["a/0/0", "0/1/0", "-1/0/0", "0/0/%00", "99/0/0", f"0/0/{2**64}", "1.5/0/0", "%C3%BC/0/0"]
)
def test_what_is_no_tile_is_400(kind: str, tile: str, make: Grant, open_: Open) -> None:
    """And costs no run."""
    assert open_(f"fused/{make(kind, 'picture')}/run/tiles/{tile}.png").status == 400


@BOTH
def test_too_many_requests_are_429_by_any_form(kind: str, make: Grant, open_: Open) -> None:
    """It says when to come again."""
    token = make(kind, rate=0.5)
    assert open_(f"fused/{token}.json").status == 200

    for form in (".json", "/run/file.json", "/run?format=json", "/run/tiles/0/0/0.json"):
        answer = open_(f"fused/{token}{form}")
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@BOTH
def test_a_token_without_cache_shows_no_results_of_others(kind: str, make: Grant, open_: Open) -> None:
    """Each of its requests runs; nothing is kept, also not at the caller's."""
    open_token, token = make(kind), make(kind, cache=False)
    assert open_(f"fused/{open_token}.json?n=99").status == 200
    assert open_(f"fused/{open_token}.json?n=99").headers["x-fused-cached"] == "1"

    answer = open_(f"fused/{token}.json?n=99&cache_max_age=1d")

    assert answer.status == 200
    assert "x-fused-cached" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


@BOTH
def test_nothing_of_the_inside_is_seen(kind: str, make: Grant, open_: Open) -> None:
    """No line, no traceback, no text of the UDF's error, and nothing that it prints; by whatever form."""
    token = make(kind)
    for form in (
        ".json?",
        "/run/file?",
        "/run/tiles/0/0/0?",
        ".json?profile=true&_stream_logs=true&",
        "/run?format=json&",
    ):
        for how in ("raise", ""):
            answer = open_(f"fused/{token}{form}how={how}")

            assert answer.status == (422 if how else 200)
            assert SECRET not in answer.body.decode() + str(answer.headers)
            assert "x-fused-metadata" not in answer.headers
            assert not how or set(answer.json()) == {"type", "error", "status", "id"}


@BOTH
def test_an_owner_may_show_the_inside(kind: str, make: Grant, open_: Open) -> None:
    """With `show_errors` a holder sees what the owner would."""
    token = make(kind, show_errors=True)

    failed, good = open_(f"fused/{token}.json?how=raise"), open_(f"fused/{token}.json")

    assert failed.status == 422
    assert "FileNotFoundError" in failed.json()["traceback"]
    assert failed.json()["line"] == 6
    for answer in (failed, good):
        assert f"printed {SECRET}" in answer.headers["x-fused-metadata"]


def test_a_holder_chooses_neither_kernel_nor_version(
    grant: Grant, live: Grant, library: Library, open_: Open, server: JupyterServer
) -> None:
    """A saved UDF answers in its saved version, whatever runs beside it and whatever the address says."""
    old = library.find("other", collection="shared").definition.digest
    library.save(parse("@fused.udf\ndef other():\n    return 'newer'\n"), collection="shared", overwrite=True)
    try:
        udfs = server.get("fused/udfs").json()["udfs"]
        kernel = next(each["kernel"] for each in udfs if each["name"] == "other")
        for token in (grant("other"), f"{grant()}/other"):
            for query in ("", f"kernel={kernel}", f"v={old}", "kernel=saved", "kernel=x&v=x"):
                assert open_(f"fused/{token}.json?{query}").json() == "newer"
        assert open_(f"fused/{live('other')}.json?kernel=saved").json() == "other"
    finally:
        library.save(parse("@fused.udf\ndef other():\n    return 'other'\n"), collection="shared", overwrite=True)


def test_code_that_is_sent_is_an_argument(make: Grant, open_: Open) -> None:
    """Nothing that comes with a token is run."""
    body = b'{"code": "raise SystemExit", "step_config": "{}", "udf": "other", "source": "x"}'

    answer = open_(f"fused/{make('saved')}.json", method="POST", body=body, **{"Content-Type": "application/json"})

    assert answer.json() == {"n": 1, "more": ["code", "source", "step_config", "udf"]}


OWNERS = [
    *("udfs", "runs", "metrics", "udfs.html", "openapi.json", "run/file/report", "run/udf", "server/v1/udf/self"),
    *("server/v1/user/self", "server/v1/udf/shared/by-token/{token}", "server/v1/udf-access-token/by-token/{token}"),
    *("server/v1/files/list?path=fd://", "server/v1/files/get?path=fd://a"),
]


@pytest.mark.parametrize("address", OWNERS)
def test_a_token_is_no_login(address: str, make: Grant, server: JupyterServer) -> None:
    """In no header, query or cookie: not for other routes of ours, not for Jupyter's."""
    token = make("saved")
    address = f"fused/{address.format(token=token)}"
    mark = "&" if "?" in address else "?"
    for scheme in ("token", "Bearer", "Fused-Env-Bearer"):
        assert server.get(address, headers={"Authorization": f"{scheme} {token}"}, login=False).status in {403, 405}
    for name in ("token", "share_token", "fused_session_token"):
        assert server.get(f"{address}{mark}{name}={token}", login=False).status in {403, 405}
    assert server.get("api/kernels", headers={"Authorization": f"token {token}"}, login=False).status == 403
