"""No secret lies or is written anywhere: not in logs, not in metrics, not in the store."""

from __future__ import annotations

import itertools
import json
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from real_jupyter import Answer, JupyterServer, eventually

from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.storage import Library

Open = Callable[..., Answer]
Grant = Callable[..., str]
FOREIGN = {"UDF": "UDF_" + secrets.token_hex(16), "hex": secrets.token_hex(32)}


@pytest.fixture(scope="module")
def known(grant: Grant, live: Grant) -> dict[str, str]:
    """Tokens of every kind, of which only the last ones open nothing."""
    return {"live": live("report"), "saved": grant("report"), "collection": grant(), **FOREIGN}


@pytest.fixture(scope="module")
def owner_key(server: JupyterServer) -> str:
    (path,) = server.runtime_directory.glob("jpfused-*.json")
    return str(json.loads(path.read_bytes())["key"])


FORMS = (
    *("{t}.json", "{t}", "{t}/run/file.json", "{t}/run?format=json", "{t}/run/tiles/0/0/0.json", "{t}/page", "{t}/"),
    *("{t}/report.json", "{t}/report/run/file", "{t}/report/run/tiles/0/0/0", "{t}/report/page", "{t}/report/"),
    *("{t}/openapi.json", "{t}/wmts", "{t}/tilejson.json", "{t}/nothing/here", "{t}/%00", "{t}/run/tiles/x/0/0"),
    *("server/v1/realtime-shared/{t}/run/file", "server/v1/realtime-shared/{t}/run/tiles/0/0/0", "{t}x", "{t}%41"),
    *("udfs?share_token={t}", "{t}.json?how=raise", "{t}/report.json?how=raise", "{t}?n=x"),
)
ODD_PLACES = ("udfs?q={t}", "x/{t}", "run/file/{t}", "server/v1/{t}", "udfs.html?a=b&x={t}&c=d")
"""There ours are known as well."""


def test_no_log_has_a_token(known: dict[str, str], owner_key: str, server: JupyterServer, open_: Open) -> None:
    """By whatever address, with whatever status, spelled in whatever way; the server logs all that it can."""
    asked: list[tuple[str, dict[str, str]]] = []
    for token in known.values():
        odd = (token, quote(token[:2]) + token[2:], f"%{ord(token[0]):02x}{token[1:]}", token.replace("_", "%5F"))
        referer = {"Referer": f"{server.root}fused/{token}/page"}
        forms = [form.format(t=spelled) for form in FORMS for spelled in odd[: 1 + (form in FORMS[:3])]]
        asked += [(address, referer) for address in forms]
        asked += [(f"{spelled}.json", {}) for spelled in odd]
        asked += [(address.format(t=token), {}) for address in ODD_PLACES if token not in FOREIGN.values()]
        methods = ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "ODD")
        asked += [(f"{token}.json", {"method": method}) for method in methods]
        asked.append((f"{token}.json", {"Host": "evil.example"}))
        asked += [
            ("udfs", {"Authorization": f"{scheme} {token}"}) for scheme in ("token", "Bearer", "Fused-Env-Bearer")
        ]
    asked.append((f"udfs?token={server.token}", {"Host": "evil.example"}))
    for scheme in ("token", "Bearer", "Fused-Env-Bearer", "Odd"):
        asked += [(address, {"Authorization": f"{scheme} {owner_key}"}) for address in ("udfs", "run/file/nothing")]
    with ThreadPoolExecutor(8) as pool:  # each refusal of a token takes a tenth of a second
        seen = set(pool.map(lambda one: open_(f"fused/{one[0]}", **one[1]).status, asked))

    assert seen >= {200, 204, 400, 403, 404, 405, 422}
    marker = secrets.token_hex(8)
    open_(f"fused/udfs?marker={marker}")
    eventually(lambda: marker in server.log)
    _assert_nowhere(server.log, [*known.values(), owner_key, server.token])


def test_no_log_has_what_is_no_http(known: dict[str, str], server: JupyterServer) -> None:
    """A broken request is logged by the server itself."""
    for token in known.values():
        for line in (f"GET /fused/{token} run HTTP/1.1", f"GET fused/{token}", f"/fused/{token}"):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(f"{line}\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

    _assert_nowhere(server.log, list(known.values()))


def test_no_log_has_a_token_when_this_package_is_at_fault(
    known: dict[str, str], server: JupyterServer, open_: Open, library: Library
) -> None:
    """A 500 logs headers, and who asked for what."""
    token = known["saved"]
    record = library.token(token)
    assert open_(f"fused/{token}.json").status == 200
    statuses = [open_(f"fused/{token}.json?how=die", Referer=f"{server.root}fused/{token}/page").status]
    assert statuses == [500]

    _assert_nowhere(server.log, [token])
    assert record.share not in server.log


def test_metrics_have_no_token(known: dict[str, str], server: JupyterServer) -> None:
    """Neither ours nor Jupyter's."""
    for address in ("fused/metrics", "metrics", "fused/runs", "fused/udfs", "fused/openapi.json"):
        _assert_nowhere(server.get(address).body.decode(), list(known.values()))


def test_no_file_has_a_token(known: dict[str, str], server: JupyterServer, library: Library) -> None:
    """Of all that the server, kernels and hosts wrote: only the SHA-256 is kept."""
    home = server.log_path.parent
    files = [path for path in home.rglob("*") if path.is_file()]
    texts = {path: path.read_bytes().decode("latin-1") for path in files}

    ours = [known[kind] for kind in ("live", "saved", "collection")]
    for path, text in texts.items():
        for token in ours:
            assert token not in text, path
            assert token[5:25] not in text, path
    assert library.token(known["saved"]).share in "".join(texts.values())
    modes = {path.name: path.stat().st_mode & 0o777 for path in files if path.name.startswith(("library", "jpfused"))}
    assert set(modes.values()) == {0o600}


def test_no_answer_has_a_secret(known: dict[str, str], server: JupyterServer, open_: Open) -> None:
    """But the descriptions and pages that repeat the address which was asked for, as those of tiles have to."""
    repeating = ("/wmts", "tilejson.json", "/page", "/", "{t}")

    def ask(token: str, form: str) -> None:
        answer = open_(f"fused/{form.format(t=token)}")
        text = answer.body.decode("latin-1") + str(answer.headers)
        is_repeated = form.endswith(repeating) and answer.status == 200
        _assert_nowhere(text, [server.token] if is_repeated else [server.token, token])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: ask(*pair), itertools.product(known.values(), FORMS)))


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("/fused/fsh_aB-_9.csv?n=1", "/fused/fsh_[secret].csv?n=1"),
        ("/fused/fc_abc/roads/run/file", "/fused/fc_[secret]/roads/run/file"),
        (
            "/user/a%40b/fused/fc_abc/roads.csv?name=Z%C3%BCrich",
            "/user/a%40b/fused/fc_[secret]/roads.csv?name=Z%C3%BCrich",
        ),
        ("/fused/server/v1/realtime-shared/UDF_abc/run/file", "/fused/server/v1/realtime-shared/UDF_[secret]/run/file"),
        (
            "/fused/server/v1/udf-access-token/by-token/fsh_abc",
            "/fused/server/v1/udf-access-token/by-token/fsh_[secret]",
        ),
        (f"/fused/{'0af' * 21}0/run/file", "/fused/[secret]/run/file"),
        ("/fused/fsh_ab%41cd", "/fused/[secret]"),
        ("/fused/%66sh_abc", "/fused/[secret]"),
        ("/fused/udfs?q=fsh%5Fabc", "/fused/udfs?[secret]"),
        ("/fused/udfs?token=abc&n=1&share_token=abc", "/fused/udfs?token=[secret]&n=1&share_token=[secret]"),
        ("/fused/run/file/UDF_roads", "/fused/run/file/UDF_roads"),
        (f"/fused/run/file/roads?v={'0af' * 21}0", f"/fused/run/file/roads?v={'0af' * 21}0"),
    ],
)
def test_only_the_secret_is_taken_out(address: str, masked: str) -> None:
    """The rest of the address is what a log is for; names and versions of UDFs are no tokens."""

    class Request:
        uri, path, headers = address, address, {"Referer": f"https://a.example{address}"}

    handler = FusedHandler.__new__(FusedHandler)
    handler.request = Request()  # type: ignore[assignment]  # all that the method takes

    handler.initialize()

    assert handler.request.uri == handler.request.path == masked
    assert masked in handler.request.headers["Referer"] or "%" in address


def _assert_nowhere(text: str, secret: list[str]) -> None:
    """Not whole, nor the better part of it."""
    for each in secret:
        assert each not in text
        assert each[5:25] not in text
