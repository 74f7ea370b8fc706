"""What a token does not open is the same 404, whatever the reason."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from real_jupyter import Answer, JupyterServer, Kernel

from fused_jupyter.server_ext.base import FusedHandler
from fused_jupyter.server_ext.handlers import ROUTES
from fused_jupyter.server_ext.shared.handler import SharedHandler
from fused_jupyter.storage import Library
from fused_jupyter.udfs import parse

Open = Callable[..., Answer]
Grant = Callable[..., str]

FORMS = (
    "{token}.json",
    "{token}",
    "{token}/run/file.json",
    "{token}/run",
    "{token}/run/tiles/0/0/0.json",
    "server/v1/realtime-shared/{token}/run/file",
    "server/v1/realtime-shared/{token}/run/tiles/0/0/0",
)


@pytest.fixture(scope="module")
def shut(library: Library, grant: Grant, live: Grant, live_kernel: Kernel) -> dict[str, str]:
    """Tokens that open nothing, by the reason."""
    expired = {"expires": time.time() - 1}
    made = {name: grant("other") for name in ("disabled", "deleted", "shortened")}
    library.update_token(made["disabled"], enabled=False)
    library.delete_token(made["deleted"])
    whole = {name: grant() for name in ("closed collection", "other collection", "no udf")}
    library.update_token(whole["closed collection"], enabled=False)
    gone = library.save(parse("def gone():\n    return 1\n"), collection="own", overwrite=True)
    of_gone = library.create_token(udf_id=gone.id)[0]
    library.delete(gone.id)
    revoked = live("other")
    live_kernel.execute(f"current().revoke({revoked!r})").check()
    public = library.create_token(udf_id=library.find("other", collection="shared").id)[1].id
    return {
        "unknown": "fsh_" + secrets.token_urlsafe(32),
        "unknown collection": f"fc_{secrets.token_urlsafe(32)}/other",
        "expired": grant("other", **expired),
        "expired live": live("other", **expired),
        "expired collection": grant(**expired) + "/other",
        "disabled": made["disabled"],
        "closed collection": whole["closed collection"] + "/other",
        "deleted": made["deleted"],
        "revoked live": revoked,
        "deleted udf": of_gone,
        "udf of another collection": whole["other collection"] + "/private",
        "no such udf": whole["no udf"] + "/nobody",
        "no name at all": whole["no udf"] + "/a%20b",
        "shortened": made["shortened"][:-1],
        "lengthened": made["shortened"] + "A",
        "one with a udf's name": made["shortened"] + "/other",
        "public id": public,
        "wrong kind": "fc_" + made["shortened"].removeprefix("fsh_") + "/other",
        "of Fused's cloud": "UDF_" + secrets.token_hex(16),
        "of Fused's cloud, old": secrets.token_hex(32),
        "empty": "fsh_",
    }


def told(answer: Answer) -> tuple[int, bytes, frozenset[tuple[str, str]]]:
    """All that a caller gets, but for the time."""
    headers = {pair for pair in answer.headers.items() if pair[0] != "Date"}
    return answer.status, answer.body, frozenset(headers)


def test_all_closed_tokens_are_answered_alike(shut: dict[str, str], open_: Open) -> None:
    """Status, body and headers: who tries tokens learns nothing."""
    addresses = {(why, form): f"fused/{form.format(token=token)}" for why, token in shut.items() for form in FORMS}
    with ThreadPoolExecutor(8) as pool:  # each refusal takes a tenth of a second
        answers = dict(zip(addresses, pool.map(open_, addresses.values()), strict=True))

    wrong = {where: answer.body for where, answer in answers.items() if answer.status != 404}
    assert not wrong
    assert len({told(answer) for answer in answers.values()}) == 1
    assert answers["unknown", "{token}"].json() == {
        "type": "ShareError",
        "error": "this token opens nothing here",
        "status": 404,
    }


@pytest.mark.parametrize("rest", ["udfs", "run/udf", "run/tiles", "x", "run/file/report", "..", "run/tiles/0/0", "%00"])
def test_below_a_good_token_there_is_nothing_else(rest: str, grant: Grant, shut: dict[str, str], open_: Open) -> None:
    """Nor does such an address tell that the token is good."""
    good, bad = (open_(f"fused/{token}/{rest}") for token in (grant("report"), shut["unknown"]))

    assert told(good) == told(bad)
    assert good.status in {400, 404}


def test_all_that_is_found_out_about_a_token_is_found_out_in_one_place() -> None:
    """Each method of each route with a token goes through the guard: that, no milliseconds, makes all answers alike."""
    routes = [(pattern, handler) for pattern, handler in ROUTES if "fsh" in pattern or "fc_" in pattern]
    assert len(routes) > 10
    for pattern, handler in routes:
        assert issubclass(handler, SharedHandler), pattern
        assert handler.prepare is SharedHandler.prepare
        assert handler.check_xsrf_cookie is SharedHandler.check_xsrf_cookie
        for verb in ("get", "head", "post", "put", "patch", "delete"):
            method = getattr(handler, verb)
            is_there = method is not getattr(FusedHandler, verb)
            assert not is_there or "guarded" in _code_names(method), f"{verb} {pattern}"


def _code_names(method: Callable[..., object]) -> set[str]:
    names = set()
    while method is not None:
        names.add(method.__code__.co_name)
        method = getattr(method, "__wrapped__", None)  # type: ignore[assignment]  # None ends it
    return names


def test_a_token_opens_again_when_its_owner_says_so(library: Library, grant: Grant, open_: Open) -> None:
    """From the next request on, in each direction."""
    token = grant("other")
    for enabled, status in ((True, 200), (False, 404), (True, 200)):
        library.update_token(token, enabled=enabled)
        assert open_(f"fused/{token}.json").status == status


def test_a_token_ends_at_its_time(grant: Grant, live: Grant, open_: Open) -> None:
    """Also one that was just in use."""
    end = time.time() + 4
    tokens = [grant("other", expires=end), live("other", expires=end)]
    assert [open_(f"fused/{token}.json").status for token in tokens] == [200, 200]

    time.sleep(max(0.0, end - time.time()) + 0.05)

    assert [open_(f"fused/{token}.json").status for token in tokens] == [404, 404]


# -- guessing


@pytest.fixture(scope="module")
def weary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JupyterServer, Library]]:
    """A server that is soon tired of wrong tokens, behind a proxy that says who asks, with two sites it trusts."""
    data = tmp_path_factory.mktemp("data")
    library = Library(data)
    library.save(parse("@fused.udf\ndef other():\n    return 'other'\n"))
    options = (
        "--ServerApp.trust_xheaders=True",
        "--FusedExtension.share_misses_per_minute=5",
        "--FusedExtension.share_origins=https://a.example",
        "--FusedExtension.share_origins=https://b.example",
    )
    with JupyterServer(arguments=options, environment={"FUSED_DATA_DIRECTORY": str(data)}) as server:
        yield server, library


def test_who_guesses_opens_nothing_for_a_while(weary: tuple[JupyterServer, Library]) -> None:
    """Not even with a right guess; it looks like any wrong one. All others, and what was good before, go on."""
    server, library = weary
    udf = library.find("other").id
    used, fresh = (library.create_token(udf_id=udf)[0] for _ in range(2))

    def ask(token: str, address: str) -> Answer:
        return server.get(f"fused/{token}.json", headers={"X-Forwarded-For": address}, login=False)

    assert ask(used, "192.0.2.1").status == 200
    wrong = [ask(f"fsh_{number}", "192.0.2.1") for number in range(6)]
    guessed = ask(fresh, "192.0.2.1")

    assert {told(answer) for answer in wrong} == {told(guessed)}
    assert guessed.status == 404
    assert ask(used, "192.0.2.1").status == 200
    assert ask(fresh, "192.0.2.2").status == 200
    # It has opened something now.
    assert ask(fresh, "192.0.2.1").status == 200


def test_the_owner_may_mistype(weary: tuple[JupyterServer, Library]) -> None:
    """Their routes are no concern of the guard's."""
    server, _ = weary
    for number in range(10):
        server.get(f"fused/fsh_typo{number}", headers={"X-Forwarded-For": "192.0.2.9"})

    assert server.get("fused/run/file/other", headers={"X-Forwarded-For": "192.0.2.9"}).status == 200


# -- pages of other sites


def cross_origin(answer: Answer) -> dict[str, str]:
    names = ("Access-Control-", "Cross-Origin-Resource-Policy")
    return {name: value for name, value in answer.headers.items() if name.startswith(names)}


READABLE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "*"}


def test_any_page_may_read_what_it_has_a_token_for(grant: Grant, shut: dict[str, str], open_: Open) -> None:
    """Results, errors and refusals alike; never with cookies."""
    good = grant("report")
    for address in (f"{good}.json", f"{good}.json?how=raise", f"{good}/x", shut["unknown"], f"{good}/run/tiles/x/0/0"):
        answer = open_(f"fused/{address}", Origin="https://a.example")

        assert cross_origin(answer) == READABLE | {"Cross-Origin-Resource-Policy": "cross-origin"}


@pytest.mark.parametrize("form", FORMS)
def test_a_preflight_tells_what_may_be_asked_and_nothing_else(
    form: str, grant: Grant, shut: dict[str, str], open_: Open
) -> None:
    """It is the same for any token, and nothing is looked up."""
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}

    good, bad = (
        open_(f"fused/{form.format(token=token)}", method="OPTIONS", **asked)
        for token in (grant("report"), shut["unknown"])
    )

    assert told(good) == told(bad)
    assert (good.status, good.body) == (204, b"")
    assert good.headers["Access-Control-Allow-Methods"] == "GET, HEAD, POST, OPTIONS"
    assert good.headers["Access-Control-Allow-Headers"] == "*"
    assert "Access-Control-Allow-Credentials" not in good.headers


@pytest.mark.parametrize(
    ("origin", "is_trusted"),
    [
        ("https://a.example", True),
        ("https://b.example", True),
        ("https://c.example", False),
        ("https://a.example.evil.example", False),
        ("http://a.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_owner_may_choose_the_sites(origin: str, is_trusted: bool, weary: tuple[JupyterServer, Library]) -> None:
    """`share_origins`; the others get the answer, but their pages may not read it."""
    server, library = weary
    token, _ = library.create_token(udf_id=library.find("other").id)
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": origin, "X-Forwarded-For": "192.0.2.3"}
        answer = server.request(method, f"fused/{token}.json", headers=headers, login=False)

        assert answer.status < 300
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_trusted else None)
        assert "Origin" in answer.headers["Vary"]


def test_cookie_routes_are_for_no_other_page(server: JupyterServer, live_kernel: Kernel) -> None:
    """None of them says that another site may read it."""
    del live_kernel
    cookie = {"Cookie": server.login_cookie(), "Origin": "https://a.example", "Sec-Fetch-Site": "same-origin"}
    for address in ("udfs", "run/file/other.json", "openapi.json", "server/v1/user/self", "udfs.html"):
        answer = server.get(f"fused/{address}", headers=cookie, login=False)
        assert cross_origin(answer) == {"Cross-Origin-Resource-Policy": "same-origin"}
        assert server.request("OPTIONS", f"fused/{address}", headers=cookie, login=False).status in {403, 405}


def test_shared_and_cookie_routes_are_told_apart() -> None:
    """No route is both."""
    for pattern, handler in ROUTES:
        assert issubclass(handler, SharedHandler) == ("fsh" in pattern or "fc_" in pattern)
