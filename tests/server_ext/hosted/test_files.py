from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from real_jupyter import Answer, JupyterServer, Kernel, eventually

from fused_jupyter.server_ext.hosted.files import write_whole

API = "fused/server/v1"


class Files:
    """The files of a server, asked for by HTTP."""

    def __init__(self, server: JupyterServer) -> None:
        self.server = server
        self.root = Path(server.environment["FUSED_DATA_DIRECTORY"]) / "files"

    def ask(self, what: str, path: str, *, method: str = "GET", **query: object) -> Answer:
        said = "".join(f"&{name}={value}" for name, value in query.items())
        return self.server.request(method, f"{API}/files/{what}?path={quote(path, safe='')}{said}")

    def put(self, path: str, content: bytes, *, length: int | None = None) -> requests.Response:
        """Upload as the official client does."""
        signed = self.ask("sign-upload", path, content_length=len(content) if length is None else length).json()
        return requests.post(signed["url"], data=signed["fields"], files={"file": content}, timeout=60)

    def signed(self, path: str) -> str:
        return str(self.ask("sign", path).json())

    @property
    def drafts(self) -> list[Path]:
        return list((self.root / ".fused-drafts").iterdir())


@pytest.fixture(scope="module")
def files(server: JupyterServer) -> Iterator[Files]:
    files = Files(server)
    yield files
    files.ask("delete", "fd://t/", method="DELETE", max_deletion_depth="unlimited")


def test_what_is_uploaded_is_listed_and_read(files: Files) -> None:
    """The way of the official client: ask for an address, send a form there, without a login."""
    content = bytes(range(256)) * 20_000  # more than one piece

    assert files.put("fd://t/a b.bin", content).status_code == 204
    assert files.put("fd://t/sub/c.csv", b"1,2").status_code == 204

    assert files.ask("list", "fd://t/").json() == ["fd://t/a b.bin", "fd://t/sub/"]
    first, second = files.ask("list-details", "fd://t").json()
    assert first["last_modified"].startswith("20")
    assert first.pop("last_modified").endswith("Z")
    assert first == {"url": "fd://t/a b.bin", "file_name": "a b.bin", "is_directory": False, "size": len(content)}
    assert (second["is_directory"], second["size"], second["last_modified"]) == (True, None, None)
    got = files.ask("get", "fd://t/a b.bin", client_id="local")
    assert (got.status, got.body) == (200, content)
    assert (files.root / "t" / "a b.bin").read_bytes() == content
    assert files.drafts == []


def test_list_is_exactly_json(files: Files) -> None:
    """The official client takes no charset."""
    assert files.ask("list", "fd://nowhere/").headers["Content-Type"] == "application/json"
    assert files.ask("list", "fd://nowhere/").json() == []


def test_resolved_address_is_that_of_the_disk(files: Files) -> None:
    """So that programs on this machine read it themselves."""
    answer = files.ask("resolve", "fd://t/", method="POST")

    assert answer.json() == f"{files.root.resolve().as_uri()}/t/"


def test_deletion_heeds_its_depth(files: Files) -> None:
    """True where there was something; an error where files lie too deep; the body is whatever the client sends."""
    files.put("fd://d/1/2/3/a", b"")

    assert files.ask("delete", "fd://d/", method="DELETE", max_deletion_depth=3).status == 422
    assert files.ask("delete", "fd://d/", method="DELETE", max_deletion_depth="unlimited").json() is True
    assert files.ask("delete", "fd://d/", method="DELETE").json() is False


@pytest.mark.parametrize("path", ["fd://../x", "fd:///etc/passwd", "file:///etc/passwd", "s3://b/k", "", "fd://a%00b"])
@pytest.mark.parametrize(("what", "method"), [("list", "GET"), ("get", "GET"), ("sign", "GET"), ("resolve", "POST")])
def test_address_outside_is_an_argument_that_does_not_fit(path: str, what: str, method: str, files: Files) -> None:
    """422, and says what to write."""
    answer = files.server.request(method, f"{API}/files/{what}?path={path}")

    assert (answer.status, answer.json()["type"]) == (422, "ArgumentError")


def test_missing_file_is_404(files: Files) -> None:
    """By its owner's way and by a signature."""
    assert files.ask("get", "fd://nowhere").json()["type"] == "MissingFileError"
    assert requests.get(files.signed("fd://nowhere"), timeout=60).status_code == 404


ROUTES = [
    ("GET", "files/list"), ("GET", "files/list-details"), ("GET", "files/get"), ("GET", "files/sign"),
    ("GET", "files/sign_prefix"), ("GET", "files/sign-upload"), ("DELETE", "files/delete"), ("POST", "files/resolve"),
    ("POST", "efs/local/list"), ("GET", "efs/local/download"), ("POST", "efs/local/upload"),
    ("DELETE", "efs/local/delete-file"), ("DELETE", "efs/local/delete-dir"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_files_are_the_owners(method: str, route: str, files: Files) -> None:
    """Nobody else lists, reads or writes: no login, a wrong key, another site's page with a cookie."""
    server, path = files.server, f"{API}/{route}?path=fd://t/&file_name=x&content_length=1"
    cookie = {"Cookie": server.login_cookie(), "Sec-Fetch-Site": "cross-site"}

    assert server.request(method, path, login=False).status == 403
    assert server.request(method, path, login=False, headers={"Authorization": "Bearer wrong"}).status == 403
    assert server.request(method, path, login=False, headers=cookie).status == 403


# -- signed addresses


def test_signed_address_opens_one_file(files: Files) -> None:
    """Without a login and from any page; it ends as the file does."""
    files.put("fd://t/r.csv", b"1,2")
    url = files.signed("fd://t/r.csv")

    answer = requests.get(url, timeout=60)

    assert url.partition("?")[0].endswith("/fd/t/r.csv")
    assert (answer.content, answer.headers["Content-Type"]) == (b"1,2", "text/csv")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers
    assert requests.head(url, timeout=60).headers["Content-Length"] == "3"


def test_signed_address_gives_parts(files: Files) -> None:
    """As readers of Parquet and GeoTIFF ask for them; with its ETag, nothing at all."""
    content = bytes(range(256)) * 8000
    files.put("fd://t/big.bin", content)
    url = files.signed("fd://t/big.bin")

    part = requests.get(url, headers={"Range": "bytes=1000000-1999999"}, timeout=60)

    assert (part.status_code, part.content) == (206, content[1_000_000:2_000_000])
    assert part.headers["Content-Range"] == f"bytes 1000000-1999999/{len(content)}"
    assert requests.get(url, headers={"If-None-Match": part.headers["ETag"]}, timeout=60).status_code == 304
    assert requests.get(url, headers={"Range": f"bytes={len(content)}-"}, timeout=60).status_code == 416


def test_changed_signature_opens_nothing(files: Files) -> None:
    """Another file, another time, none: all the same answer."""
    files.put("fd://t/r.csv", b"1,2")
    files.put("fd://t/other.csv", b"3")
    url = files.signed("fd://t/r.csv")
    later = re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", url)
    changed = [
        url.replace("r.csv", "other.csv"),
        url.replace("/fd/", "/mount/"),
        later,
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("&signature")[0],
        url.partition("?")[0],
        url + "&length=5",
    ]

    answers = [requests.get(each, timeout=60) for each in changed]

    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1


def test_reading_is_no_leave_to_write(files: Files) -> None:
    """Nor the other way round."""
    files.put("fd://t/r.csv", b"1,2")
    to_read = files.signed("fd://t/r.csv")
    to_write = files.ask("sign-upload", "fd://t/r.csv", content_length=3).json()["url"]

    assert requests.post(to_read, files={"file": b"xxx"}, timeout=60).status_code == 403
    assert requests.get(to_write, timeout=60).status_code == 403
    assert files.ask("get", "fd://t/r.csv").body == b"1,2"


def test_name_that_points_here_is_no_way_in(files: Files) -> None:
    """DNS rebinding: under another host's name a signature opens nothing either."""
    url, evil = files.signed("fd://t/r.csv"), {"Host": "evil.example"}
    to_write = files.ask("sign-upload", "fd://t/r.csv", content_length=9).json()["url"]

    assert requests.get(url, headers=evil, timeout=60).status_code == 403
    assert requests.post(to_write, headers=evil, files={"file": b"x"}, timeout=60).status_code == 403


def test_login_adds_nothing_to_a_signature(files: Files) -> None:
    """A signed address is all that counts, and gives no cookie."""
    url = files.signed("fd://t/r.csv").replace("signature=", "signature=0")

    answer = files.server.get(url, headers={"Cookie": files.server.login_cookie()})

    assert answer.status == 403
    assert answer.headers["Set-Cookie"] is None


def test_prefix_is_signed_file_by_file(files: Files) -> None:
    """By their addresses."""
    files.put("fd://p/a", b"1")
    files.put("fd://p/b/c", b"2")

    signed = files.ask("sign_prefix", "fd://p/").json()

    assert {url: requests.get(address, timeout=60).content for url, address in signed.items()} == {
        "fd://p/a": b"1",
        "fd://p/b/c": b"2",
    }


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "data.xml"])
def test_page_among_the_files_is_saved_not_shown(name: str, files: Files) -> None:
    """On this origin it could run anything."""
    files.put(f"fd://t/{name}", b"<script>alert(1)</script>")

    for answer in (requests.get(files.signed(f"fd://t/{name}"), timeout=60), files.ask("get", f"fd://t/{name}")):
        headers = answer.headers
        assert headers["Content-Disposition"].startswith("attachment")
        assert headers["Content-Security-Policy"].startswith("sandbox")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_no_log_has_a_signature(files: Files) -> None:
    """Neither of what went well nor of what did not."""
    url = files.signed("fd://t/r.csv")
    signature = url.partition("signature=")[2]
    requests.get(url, timeout=60)
    requests.get(url.replace("r.csv", "nowhere.csv"), timeout=60)
    requests.post(url, timeout=60)

    assert len(signature) == 64
    eventually(lambda: "nowhere.csv" in files.server.log)
    assert signature not in files.server.log


# -- uploads that go wrong


class Miser(io.RawIOBase):
    """A disk that takes three bytes at a time, and then no more."""

    def __init__(self, room: int) -> None:
        self.room, self.got = room, b""

    def write(self, piece: Any, /) -> int:
        if len(self.got) == self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = bytes(piece[: min(3, self.room - len(self.got))])
        self.got += taken
        return len(taken)


def test_a_disk_that_takes_a_part_is_given_the_rest() -> None:
    """Otherwise an upload to a disk that is nearly full would be cut off, and be told to be there."""
    roomy, full = Miser(100), Miser(7)

    write_whole(roomy, bytes(range(10)))
    with pytest.raises(OSError, match="No space left"):
        write_whole(full, bytes(range(10)))

    assert roomy.got == bytes(range(10))


def test_upload_is_no_longer_than_was_signed(files: Files) -> None:
    """Whether it says its length or not; nothing stays of it."""
    too_long = files.put("fd://t/long", b"x" * 200_000, length=100_000)
    signed = files.ask("sign-upload", "fd://t/long", content_length=10).json()
    form = requests.Request("POST", signed["url"], files={"file": b"x" * 11}).prepare()
    assert isinstance(form.body, bytes)
    slightly = requests.post(signed["url"], data=form.body, headers=dict(form.headers), timeout=60)
    chunked = requests.post(
        signed["url"],
        data=iter([form.body[:100], form.body[100:]]),
        headers={"Content-Type": form.headers["Content-Type"]},
        timeout=60,
    )

    assert [answer.status_code for answer in (too_long, slightly, chunked)] == [413, 422, 422]
    assert files.ask("list", "fd://t/long").json() == []
    eventually(lambda: files.drafts == [])


def test_form_without_the_file_is_refused(files: Files) -> None:
    """Or none at all, or one that breaks off."""
    url = files.ask("sign-upload", "fd://t/none", content_length=10).json()["url"]

    other = requests.post(url, files={"other": b"x"}, timeout=60)
    nothing = requests.post(url, data=b"x", headers={"Content-Type": "text/plain"}, timeout=60)
    broken = requests.post(
        url, data=b"--b\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"}, timeout=60
    )

    assert [(each.status_code, each.json()["type"]) for each in (other, nothing, broken)] == [
        (422, "ArgumentError")
    ] * 3
    eventually(lambda: files.drafts == [])


def test_upload_that_breaks_off_leaves_the_old_file(files: Files) -> None:
    """The connection ends in the middle: what was there stays, and no draft does."""
    files.put("fd://t/kept", b"old")
    url = files.ask("sign-upload", "fd://t/kept", content_length=10_000_000).json()["url"]

    def half() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"x" * 100_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        requests.post(url, data=half(), headers={"Content-Type": "multipart/form-data; boundary=b"}, timeout=60)

    eventually(lambda: files.drafts == [])
    assert files.ask("get", "fd://t/kept").body == b"old"


def test_length_of_an_upload_is_a_number(files: Files) -> None:
    """Without it nothing is signed."""
    for length in ("", "many", "-1", "9" * 30):
        assert files.ask("sign-upload", "fd://t/a", content_length=length).status == 422


# -- /mount


def test_mount_is_listed_and_changed(files: Files) -> None:
    """By the routes that the official client has for it."""
    server, key = files.server, {"Authorization": f"token {files.server.token}"}

    def efs(method: str, what: str, **more: Any) -> requests.Response:
        return requests.request(method, f"{server.root}{API}/efs/local/{what}", headers=key, timeout=60, **more)

    assert efs("POST", "upload", data={"dir": "/t"}, files={"file": ("a.csv", b"1")}).status_code == 200
    assert efs("POST", "upload", data={"dir": "/t/../../.."}, files={"file": ("a.csv", b"1")}).status_code == 422
    assert efs("POST", "upload", data={"dir": "/t"}).status_code == 422

    items = efs("POST", "list?limit=-1", json={"item": "t"}).json()["items"]
    assert [(item["url"], item["size"]) for item in items] == [("t/a.csv", 1)]
    assert efs("GET", "download?file_name=/t/a.csv").content == b"1"
    assert efs("DELETE", "delete-file", json={"item": "/t/a.csv"}).json() is True
    assert efs("DELETE", "delete-dir", json={"item": "/t"}).json() is True
    assert efs("POST", "list", data=b"no json").status_code == 422
    assert efs("POST", "list", json=["t"]).status_code == 422


# -- from the notebook


def test_notebook_signs_what_the_server_answers(files: Files, kernel: Kernel) -> None:
    """Both know the secret; the key that the notebook has opens the routes, under each scheme of the client."""
    cell = """
    import json
    import fused_jupyter as fused
    fused.api.upload(b"from the notebook", "fd://t/n.txt")
    print(json.dumps([fused.api.sign_url("fd://t/n.txt"), fused.api.sign_url_prefix("fd://t/n.txt"),
                      fused.api.access_token(), fused.api.resolve("fd://t/n.txt")]))
    """
    result = kernel.execute("\n".join(line.strip() for line in cell.splitlines())).check()
    url, by_address, key, resolved = json.loads(result.text.splitlines()[-1])

    assert requests.get(url, timeout=60).content == b"from the notebook"
    assert requests.get(by_address["fd://t/n.txt"], timeout=60).content == b"from the notebook"
    assert resolved == files.ask("resolve", "fd://t/n.txt", method="POST").json()
    for scheme in ("Bearer", "Fused-Env-Bearer", "Fused-Rtenv-Bearer", "Fused-Service-Token"):
        headers = {"Authorization": f"{scheme} {key}"}
        assert files.server.get(f"{API}/files/list?path=fd://t/n.txt", headers=headers, login=False).status == 200


def test_a_copy_of_a_file_elsewhere_is_signed(files: Files, kernel: Kernel, tmp_path: Path) -> None:
    """The address opens what the file is now; the server itself opens no other path of this machine."""
    own = tmp_path / "own.csv"
    own.write_bytes(b"1,2")
    code = f"import fused_jupyter as fused; print(fused.api.sign_url({str(own)!r}))"

    url = kernel.execute(code).check().text.split()[-1]
    own.write_bytes(b"3,4,5")
    later = kernel.execute(code).check().text.split()[-1]

    assert requests.get(url, timeout=60).content == b"1,2"
    assert requests.get(later, timeout=60).content == b"3,4,5"
    assert files.ask("list", str(tmp_path)).status == 422


def test_client_magic_prints_no_key(files: Files, kernel: Kernel) -> None:
    """Its lines read it from where the server keeps it."""
    result = kernel.execute("%fused_client").check()
    lines = result.text[result.text.index("import json") :].splitlines()[:3]
    found: dict[str, Any] = {}
    exec(lines[0].replace("os.environ", "found"), {"found": found})

    assert lines[2] == f"fused._env('{files.server.root}{API}')"
    assert found["FUSED_AUTH_TOKEN"] not in result.text
    headers = {"Authorization": f"{found['FUSED_AUTH_TOKEN_TYPE']} {found['FUSED_AUTH_TOKEN']}"}
    assert files.server.get(f"{API}/files/list?path=fd://t", headers=headers, login=False).status == 200


def test_client_magic_sets_variables_and_shows_the_key_when_asked(files: Files, kernel: Kernel) -> None:
    """`--env` says nothing of the key, `--show` does, `--drop` takes the variables away."""
    key = kernel.execute("import fused_jupyter, os; print(fused_jupyter.api.access_token())").check().text.strip()

    set_ = kernel.execute("%fused_client --env").check().text
    found = kernel.execute("print(os.environ['FUSED_ENV'], os.environ['FUSED_AUTH_TOKEN'])").check().text
    shown = kernel.execute("%fused_client --show").check().text
    kernel.execute("%fused_client --drop").check()

    assert found.split() == [f"{files.server.root}{API}", key]
    assert key not in set_
    assert key in shown
    assert kernel.execute("print('FUSED_AUTH_TOKEN' in os.environ)").check().text.strip() == "False"


def test_udf_sees_harmless_headers_of_its_request(server: JupyterServer, kernel: Kernel) -> None:
    """No cookie and no key; who sends others gets another result, though the first one is kept."""
    kernel.define(
        """
        @fused.udf
        def theme():
            import fused
            return fused.context.get_headers()
        """
    )

    def ask(**headers: str) -> Answer:
        sent = {"Cookie": "secret=1", "User-Agent": "u", "X-Xsrftoken": "secret", **headers}
        return server.get("fused/run/file/theme.json", headers=sent)

    dark = {"X-Fused-Theme": "dark"}
    assert ask(**dark).json() == {"user-agent": "u", "x-fused-theme": "dark"}
    assert ask(**dark).headers["x-fused-cached"] == "1"
    assert ask().json() == {"user-agent": "u"}
    assert ask(**{"X-Fused-Theme": "light"}).json()["x-fused-theme"] == "light"
    assert ask(**dark).json()["x-fused-theme"] == "dark"
