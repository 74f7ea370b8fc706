"""Tokens that open one UDF, without a login."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from real_jupyter import Answer, JupyterServer, Kernel, eventually

SECRET = "/home/ana/secret.csv"
Open = Callable[..., Answer]


def grant(kernel: Kernel, udf: str) -> str:
    code = f"from fused_jupyter.runtime import current; print(current().grant({udf!r}))"
    return kernel.execute(code).check().text.strip()


def revoke(kernel: Kernel, token: str) -> None:
    kernel.execute(f"from fused_jupyter.runtime import current; current().revoke({token!r})").check()


@pytest.fixture(scope="module")
def token(kernel: Kernel) -> str:
    """Opens `shared`, which fails in many ways on request."""
    kernel.define(
        f"""
        @fused.udf
        def shared(how: str = "", n: int = 0):
            if how == "raise":
                raise FileNotFoundError({SECRET!r})
            if how == "die":
                import os
                os._exit(1)
            if how == "odd":
                return type({SECRET!r}, (), {{}})()
            if how == "nothing":
                return None
            return {{"n": n}}
        """
    )
    return grant(kernel, "shared")


@pytest.fixture
def open_tile(server: JupyterServer) -> Open:
    """GET a tile of a token, by somebody without a login."""

    def ask(token: str, rest: str = "0/0/0.json", **headers: str) -> Answer:
        return server.get(f"fused/{token}/run/tiles/{rest}", headers=headers, login=False)

    return ask


def test_a_token_opens_its_udf_without_a_login(token: str, open_tile: Open, server: JupyterServer) -> None:
    """Tiles, with arguments and formats, as for the owner; also HEAD."""
    assert open_tile(token, "0/0/0.json?n=3").json() == {"n": 3}
    assert open_tile(token, "0/0/0?how=nothing").status == 204
    assert server.request("HEAD", f"fused/{token}/run/tiles/0/0/0.json", login=False).status == 200


def test_a_saved_tile_does_not_tell_the_name_of_the_udf(token: str, open_tile: Open) -> None:
    """Who has the token need not know what else the notebook calls things."""
    answer = open_tile(token, "3/1/3.json")

    assert answer.headers["Content-Disposition"] == 'inline; filename="tile-3-1-3.json"'


def test_clients_of_fused_may_add_their_parameters(token: str, open_tile: Open) -> None:
    """The server does not know which UDF a token is for; its host does."""
    client = "format=json&profile=False&fused_cache_disable_stream=true&_stream_logs=false"

    assert open_tile(token, f"0/0/0?{client}&n=4").json() == {"n": 4}


def test_a_page_anywhere_may_read_what_the_token_opens(token: str, open_tile: Open) -> None:
    """The token is the credential: no cookie is looked at, none is set, and errors can be read too."""
    for rest in ("0/0/0.json", "0/0/0.json?how=raise", "x/0/0"):
        answer = open_tile(token, rest, Origin="http://elsewhere.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers


def test_a_login_changes_nothing(token: str, open_tile: Open, server: JupyterServer) -> None:
    """Neither does a good one give more, nor does a bad one lock out, nor is a cookie set."""
    cookie = server.login_cookie()
    logins = [
        {"Authorization": f"token {server.token}"},
        {"Authorization": "token wrong"},
        {"Cookie": cookie},
        {"Cookie": f'{cookie.partition("=")[0]}="2|dead"'},
    ]

    answers = [open_tile(token, "0/0/0.json?how=raise", **login) for login in logins]
    answers += [server.get(f"fused/{token}/run/tiles/0/0/0.json?how=raise&token={server.token}", login=False)]

    answers.append(open_tile(token, "0/0/0.json?how=raise"))
    assert len({answer.json().pop("id") for answer in answers}) == len(answers)
    assert len({(answer.status, answer.json()["type"], answer.json()["error"]) for answer in answers}) == 1
    assert not [answer for answer in answers if "Set-Cookie" in answer.headers]


@pytest.mark.parametrize(
    "address",
    [
        "fused/run/tiles/shared/0/0/0?token={token}",
        "fused/run/file/shared?share_token={token}",
        "fused/udfs?token={token}",
        "fused/{token}/run/file/shared",
        "fused/{token}/udfs",
        "fused/{token}/run/tiles/shared/0/0/0",
        "fused/{token}/run/tiles/tilejson.json",
        "api/kernels?token={token}",
    ],
)
def test_a_token_opens_nothing_else(address: str, token: str, server: JupyterServer, kernel: Kernel) -> None:
    """Not other routes, not Jupyter."""
    before = kernel.status()["requests"]

    answer = server.get(address.format(token=token), login=False)

    assert answer.status in {400, 403, 404}
    assert kernel.status()["requests"] == before


def test_a_token_is_for_one_udf_in_any_version(
    token: str, open_tile: Open, kernel: Kernel, server: JupyterServer
) -> None:
    """A digest of another UDF in the query opens that one for nobody."""
    other = server.get("fused/udfs/echo").json()["digest"]

    assert open_tile(token, f"0/0/0.json?v={other}&kernel=nobody&n=4").json() == {"n": 4}


def test_a_revoked_token_is_as_unknown_as_garbage(kernel: Kernel, open_tile: Open, token: str) -> None:
    """Same status, same body: who tries tokens learns nothing."""
    short_lived = grant(kernel, "echo")
    assert open_tile(short_lived).status == 200

    revoke(kernel, short_lived)

    revoked, garbage, almost = open_tile(short_lived), open_tile("fsh_x"), open_tile(token[:-1] + "-")
    assert revoked.status == 404
    assert revoked.body == garbage.body == almost.body
    assert set(revoked.headers) == set(garbage.headers)
    assert open_tile(token).status == 200


def test_a_token_for_a_name_that_is_not_there_opens_nothing(kernel: Kernel, open_tile: Open) -> None:
    """Until a UDF of that name is registered."""
    early = grant(kernel, "comes_later")
    assert open_tile(early).status == 404

    kernel.define("def comes_later():\n    return 1")

    assert open_tile(early).json() == 1


@pytest.mark.parametrize(("how", "status"), [("raise", 422), ("odd", 422), ("die", 500)])
def test_errors_tell_nothing_of_the_inside(how: str, status: int, token: str, open_tile: Open) -> None:
    """The owner sees the traceback; the holder of a token sees that it failed."""
    answer = open_tile(token, f"0/0/0?how={how}")

    assert answer.status == status
    assert set(answer.json()) == {"type", "error", "status", "id"}
    assert SECRET not in answer.body.decode()
    assert "shared" not in answer.body.decode()


def test_an_owner_finds_in_the_log_what_a_caller_met(token: str, open_tile: Open, server: JupyterServer) -> None:
    """Under the number that the caller was given."""
    number = open_tile(token, "0/0/0?how=raise").json()["id"]

    line = next(line for line in server.log.splitlines() if number in line)
    assert SECRET in line
    assert token not in line


def test_a_wrong_argument_is_said(token: str, open_tile: Open) -> None:
    """What the caller did wrong is theirs to know."""
    assert "n" in open_tile(token, "0/0/0?n=x").json()["error"]
    assert open_tile(token, "0/0/9").status == 400


def test_a_token_dies_with_its_kernel(server: JupyterServer, open_tile: Open) -> None:
    """And does not live again in the next one of that id."""
    with server.running_kernel() as kernel:
        kernel.define("def mortal():\n    return 1")
        mortal = grant(kernel, "mortal")
        assert open_tile(mortal).json() == 1
        kernel.restart()
        kernel.define("def mortal():\n    return 1")
        assert open_tile(mortal).status == 404
    assert open_tile(mortal).status == 404


def test_no_token_is_ever_in_the_log(kernel: Kernel, server: JupyterServer, open_tile: Open, token: str) -> None:
    """At whatever status, by whatever path, with all that the server can log."""
    seen = {open_tile(token, rest).status for rest in ("0/0/0.json", "0/0/0?how=nothing", "9/9/9999", "0/0/0?n=x")}
    etag = open_tile(token).headers["ETag"]
    seen |= {open_tile(token, **{"If-None-Match": etag}).status, open_tile(token, Host="evil.example").status}
    seen |= {open_tile(token, rest).status for rest in ("0/0/0?how=die", "%ff/0/0", "0/%00/0", "0/0", "..%2f/0/0", "")}
    seen |= {
        open_tile(f"{token}x").status,
        open_tile(token + "%41").status,
        open_tile(quote(token[:2]) + token[2:]).status,
    }
    seen |= {
        open_tile("%66sh_" + token[4:]).status,
        server.get(f"fused/x/{token}").status,
        server.get(f"fused?{token}").status,
    }
    seen |= {
        server.request(verb, f"fused/{token}/run/tiles/0/0/0", login=False).status for verb in ("POST", "HEAD", "ODD")
    }

    assert seen >= {200, 204, 304, 400, 403, 404, 405, 422, 500}
    eventually(lambda: "405 ODD" in server.log)
    assert token[4:] not in server.log
    assert token[6:20] not in server.log


def test_the_log_still_tells_what_was_asked(server: JupyterServer, open_tile: Open, token: str) -> None:
    """Only the secret is taken out of the path."""
    open_tile(token, "0/0/0.json?n=4711")

    wanted = re.compile(r"200 GET /fused/fsh_\[secret\]/run/tiles/0/0/0\.json\?n=4711")
    eventually(lambda: wanted.search(server.log) is not None)


def test_no_token_of_the_server_is_in_the_log(server: JupyterServer, kernel: Kernel) -> None:
    """Jupyter scrubs its own token from queries; our routes keep it that way."""
    server.get(f"fused/run/file/echo?token={server.token}", login=False)
    server.get(f"fused/run/file/none?token={server.token}", login=False)

    ours = [line for line in server.log.splitlines() if "/fused/" in line]
    assert ours
    assert not [line for line in ours if server.token in line]


def test_shares_can_be_switched_off(strict: JupyterServer, strict_kernel: Kernel) -> None:
    """An operator may want no way in without a login: `allow_shares=False`."""
    token = grant(strict_kernel, "echo")
    before = strict_kernel.status()["requests"]

    assert strict.get(f"fused/{token}/run/tiles/0/0/0.json", login=False).status == 404
    assert strict.get(f"fused/{token}/run/tiles/0/0/0.json").status == 404
    assert strict_kernel.status()["requests"] == before
