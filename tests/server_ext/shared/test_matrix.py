"""Every kind of credential from every kind of place, on every way in which a UDF can be run: who runs it, and who not.

The UDF itself counts its runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from real_jupyter import JupyterServer, Kernel

from fused_jupyter.storage import Library
from fused_jupyter.udfs import parse

SITES: dict[str, tuple[dict[str, str], bool]] = {
    "same-origin": ({"Sec-Fetch-Site": "same-origin"}, True),
    "typed by hand": ({"Sec-Fetch-Site": "none"}, True),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, False),
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, False),
    "nothing said": ({}, False),
    "own referer": ({"Referer": "{root}lab"}, True),
    "other origin": ({"Origin": "http://evil.example"}, False),
    "opaque origin": ({"Origin": "null"}, False),
}
"""What a browser says of the page that asks, and whether it is a page of this server."""

V1 = "fused/server/v1"
RUN = f"{V1}/realtime/local/api/v1/run/udf"
GET_TILE = "request=GetTile&layer=tick&format=image/png&tilematrixset=GoogleMapsCompatible"
GET_TILE += "&tilematrix=0&tilerow=0&tilecol=0"

WAYS = {
    "file": "GET fused/run/file/tick.json?",
    "saved file": "GET fused/run/file/tick.json?kernel=saved&",
    "tile": "GET fused/run/tiles/tick/0/0/0.json?",
    "wmts": f"GET fused/wmts?{GET_TILE}&",
    "posted arguments": "POST fused/run/file/tick.json?",
    "saved, as in Fused": f"GET {RUN}/saved/me/tick?",
    "posted code": "POST fused/run/udf?",
    "posted code, as in Fused": f"POST {RUN}?",
    "started code": f"POST {RUN}/start?",
}
"""Those of the owner."""

SHARED_WAYS = {
    "token's file": "GET fused/{udf}.json?",
    "token's run": "GET fused/{udf}/run/file?format=json&",
    "token's post": "POST fused/{udf}.json?",
    "token's tile": "GET fused/{udf}/run/tiles/0/0/0.json?",
    "token's wmts": f"GET fused/{{udf}}/wmts?{GET_TILE}&",
    "live token's file": "GET fused/{live}.json?",
    "collection's file": "GET fused/{collection}/tick.json?",
    "collection's tile": f"GET {V1}/realtime-shared/{{collection}}/tick/run/tiles/0/0/0?=json&",
}
"""Those of who has a token."""

CREDENTIALS = ("cookie", "cookie and xsrf", "header", "query", "owner key", "token as login", "token in query", "none")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A server, all secrets there are, and the count of runs."""

    server: JupyterServer
    runs_file: Path
    tokens: dict[str, str]
    cookie: str
    owner_key: str

    @property
    def runs(self) -> int:
        return self.runs_file.stat().st_size

    def given(self, credential: str) -> tuple[dict[str, str], str]:
        """Headers, and an end for the query."""
        xsrf = "0123456789abcdef" * 2
        share = self.tokens["udf"]
        return {
            "cookie": ({"Cookie": self.cookie}, ""),
            "cookie and xsrf": ({"Cookie": f"{self.cookie}; _xsrf={xsrf}", "X-XSRFToken": xsrf}, ""),
            "header": ({"Authorization": f"Bearer {self.server.token}"}, ""),
            "query": ({}, f"&token={self.server.token}"),
            "owner key": ({"Authorization": f"Fused-Env-Bearer {self.owner_key}"}, ""),
            "token as login": ({"Authorization": f"Bearer {share}"}, ""),
            "token in query": ({}, f"&token={share}"),
            "none": ({}, ""),
        }[credential]


@pytest.fixture(scope="module")
def scene(server: JupyterServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    runs_file = tmp_path_factory.mktemp("runs") / "runs"
    runs_file.touch()
    source = f"""
@fused.udf
def tick(n: int = 1, bounds: fused.types.Bounds = None):
    import numpy as np
    with open({str(runs_file)!r}, "a") as file:
        file.write("x")
    return np.full((3, 8, 8), n % 200, dtype="uint8") if bounds else n
"""
    library = Library(Path(server.environment["FUSED_DATA_DIRECTORY"]))
    saved = library.save(parse(source), overwrite=True)
    with server.running_kernel() as kernel:
        kernel.define(source)
        (key_file,) = server.runtime_directory.glob("jpfused-*.json")
        yield Scene(
            server=server,
            runs_file=runs_file,
            tokens={
                "udf": library.create_token(udf_id=saved.id)[0],
                "collection": library.create_token(collection="default")[0],
                "live": _granted(kernel),
            },
            cookie=server.login_cookie(),
            owner_key=json.loads(key_file.read_bytes())["key"],
        )


def _granted(kernel: Kernel) -> str:
    code = "from fused_jupyter.runtime import current; print(current().grant('tick'))"
    return kernel.execute(code).check().text.strip()


_NUMBERS = count(1000)


def ask(scene: Scene, way: str, credential: str, said: dict[str, str]) -> tuple[int, int]:
    """Status, and how many runs it cost; each request has an argument of its own, so that nothing is kept for it."""
    headers, end = scene.given(credential)
    root = scene.server.root
    where = {name: text.format(root=root) for name, text in said.items()}
    method, _, address = way.format(**scene.tokens).partition(" ")
    number = next(_NUMBERS)
    body = None
    if method == "POST":
        code = f"def udf():\n    open({str(scene.runs_file)!r}, 'a').write('x')\n    return {number}"
        step = json.dumps({"type": "udf", "udf": {"name": "udf", "code": code}})
        is_code = "run/udf" in address
        body = json.dumps({"step_config": step, "cache": False} if is_code else {"n": number}).encode()
        headers = {**headers, "Content-Type": "application/json"}
    before = scene.runs
    answer = scene.server.request(
        method, f"{address}n={number}{end}", headers={**where, **headers}, body=body, login=False
    )
    assert credential.startswith(("cookie", "query")) or "Set-Cookie" not in answer.headers
    return answer.status, scene.runs - before


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("way", WAYS)
def test_the_owners_ways_are_open_to_the_owner_only(way: str, credential: str, scene: Scene) -> None:
    """A cookie runs UDFs from this server's pages, a POST only with proof that it is one; a token of the server and
    the owner's key do from anywhere; a token of a UDF, or nothing, does from nowhere."""
    is_post = WAYS[way].startswith("POST")
    for site, (said, is_ours) in SITES.items():
        is_allowed = credential in {"header", "query", "owner key"}
        is_allowed |= is_ours and credential == "cookie and xsrf"
        is_allowed |= is_ours and credential == "cookie" and not is_post

        status, runs = ask(scene, WAYS[way], credential, said)

        assert (status == 200, runs) == (is_allowed, int(is_allowed)), (site, status)
        assert is_allowed or status in {403, 404}


@pytest.mark.parametrize("way", SHARED_WAYS)
def test_a_tokens_ways_are_open_to_whoever_has_it(way: str, scene: Scene) -> None:
    """Nothing else counts: what comes beside it neither helps nor hinders."""
    for credential in CREDENTIALS:
        for site, (said, _) in SITES.items():
            assert ask(scene, SHARED_WAYS[way], credential, said) == (200, 1), (credential, site)


@pytest.mark.parametrize("way", SHARED_WAYS)
def test_a_wrong_token_opens_nothing_whatever_comes_with_it(way: str, scene: Scene) -> None:
    """Not even for the owner: a token's address is never one of theirs."""
    spoiled: Callable[[str], str] = lambda token: token[:-6] + "AAAAAA"  # noqa: E731 - said in one line
    wrong = Scene(
        server=scene.server,
        runs_file=scene.runs_file,
        tokens={name: spoiled(token) for name, token in scene.tokens.items()},
        cookie=scene.cookie,
        owner_key=scene.owner_key,
    )
    for credential in CREDENTIALS:
        assert ask(wrong, SHARED_WAYS[way], credential, {"Sec-Fetch-Site": "same-origin"}) == (404, 0)


def test_what_runs_nothing_is_the_owners_too(scene: Scene) -> None:
    """Lists, pages and descriptions: a page elsewhere reads none of them with the user's cookie."""
    owners = ("udfs", "udfs/tick", "udfs.html", "udfs/tick.html", "openapi.json", "runs", "metrics", "health", "wmts")
    owners += ("run/tiles/tick/tilejson.json", "server/v1/udf/self", "server/v1/udf-access-token/self")
    owners += ("server/v1/files/list?path=fd://", "server/v1/user/self", "server/v1/collection/self")
    for address in owners:
        for site, (said, is_ours) in SITES.items():
            headers = {name: text.format(root=scene.server.root) for name, text in said.items()}
            answer = scene.server.get(f"fused/{address}", headers={**headers, "Cookie": scene.cookie}, login=False)
            assert answer.status == (200 if is_ours else 403), (address, site)
