from __future__ import annotations

import http.server
import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.api.snippets import Links, Snippets, snippets_html, snippets_of

NODE = shutil.which("node")
HOSTILE = 'http://h/fused/t/run/file?a=\'%22;$(id)`id`&b="x"\\'


def links(base: str = "http://localhost:8888/fused/fsh_1", **changes: object) -> Links:
    values = {
        "file": lambda extension: f"{base}.{extension}?n=1&word=a+b",
        "tiles": lambda extension: f"{base}/run/tiles/{{z}}/{{x}}/{{y}}.{extension}",
    }
    return Links(**{**values, **changes})  # type: ignore[arg-type]


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[http.server.HTTPServer]:
    """Tells what it was asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def base_of(server: http.server.HTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}/fused/fsh_1"


def test_there_is_one_for_each_program_of_the_documentation() -> None:
    """Those of tiles only where it gives tiles."""
    of_files = {"HTTP", "cURL", "Python", "JavaScript", "Google Sheets"}
    of_tiles = {"Leaflet", "MapLibre", "MapLibre, features", "lonboard", "QGIS", "QGIS, features"}

    assert snippets_of(links()).keys() == of_files | of_tiles
    assert snippets_of(links(tiles=None)).keys() == of_files


def test_formats_that_a_token_does_not_allow_are_not_asked_for() -> None:
    """Who reads any format gets one that is allowed, the others are left out."""
    texts = snippets_of(links(formats=("csv", "mvt")))

    assert texts.keys() == {"HTTP", "cURL", "Google Sheets", "MapLibre, features", "QGIS, features"}
    assert ".csv?" in texts["HTTP"]
    assert not re.search(r"\.(json|png)", repr(texts))


def test_python_snippet_gets_the_data(server: http.server.HTTPServer) -> None:
    """Run as it is."""
    pytest.importorskip("requests")
    names: dict[str, object] = {}

    exec(snippets_of(links(base_of(server)))["Python"], names)

    assert names["data"] == {"path": "/fused/fsh_1.json?n=1&word=a+b"}


def test_http_snippet_is_a_request(server: http.server.HTTPServer) -> None:
    """Sent byte by byte."""
    import socket

    text = snippets_of(links(base_of(server)))["HTTP"]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as sock:
        sock.sendall(text.replace("\n", "\r\n").encode() + b"\r\nConnection: close\r\n\r\n")
        answer = sock.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.endswith(b'{"path": "/fused/fsh_1.json?n=1&word=a+b"}')


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_snippet_saves_the_data(server: http.server.HTTPServer, tmp_path: Path) -> None:
    """Run by a shell."""
    text = snippets_of(links(base_of(server)))["cURL"]

    subprocess.run(["sh", "-c", f"{text} -s --noproxy '*'"], cwd=tmp_path, check=True, timeout=20)

    assert json.loads((tmp_path / "result.json").read_text())["path"] == "/fused/fsh_1.json?n=1&word=a+b"


@pytest.mark.skipif(NODE is None, reason="no node here")
def test_javascript_snippets_run(server: http.server.HTTPServer) -> None:
    """fetch gets the data; the maps get their sources with the literal {z}/{x}/{y}."""
    texts = snippets_of(links(base_of(server)))
    code = f"""
        const seen = [];
        const map = {{ addSource: (_, s) => seen.push(s.tiles[0]), addLayer: (l) => seen.push(l.type) }};
        const L = {{ tileLayer: (u) => ({{ addTo: () => seen.push(u) }}) }};
        {texts["JavaScript"]}
        {texts["Leaflet"]}
        {texts["MapLibre"]}
        {texts["MapLibre, features"]}
        console.log(JSON.stringify([data.path, ...seen]));
    """

    done = subprocess.run(
        [str(NODE), "--input-type=module", "-"], input=code, capture_output=True, text=True, check=True, timeout=30
    )

    tiles = f"{base_of(server)}/run/tiles/{{z}}/{{x}}/{{y}}"
    assert json.loads(done.stdout) == [
        "/fused/fsh_1.json?n=1&word=a+b",
        f"{tiles}.png",
        f"{tiles}.png",
        "raster",
        f"{tiles}.mvt",
        "fill",
    ]


def test_lonboard_snippet_makes_a_map() -> None:
    """With the tiles of the address."""
    pytest.importorskip("lonboard")
    code, _, last = snippets_of(links())["lonboard"].rpartition("\n")
    names: dict[str, object] = {}

    exec(code, names)
    shown = eval(last, names)

    assert shown.layers[0].data == "http://localhost:8888/fused/fsh_1/run/tiles/{z}/{x}/{y}.png"


def test_sheets_snippet_is_one_formula() -> None:
    """A quote in the address is doubled, as Sheets has it."""
    text = snippets_of(links(file=lambda _: 'http://h/a"b'))["Google Sheets"]

    assert text == '=IMPORTDATA("http://h/a""b")'


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0[]"), max_size=40))
def test_no_address_leaves_its_quotes(text: str) -> None:
    """In a shell, in Python and in JSON it is read back as it was written."""
    address = f"http://h/{text}"
    made = snippets_of(Links(file=lambda _: address))
    python = re.search(r"get\((.*), timeout", made["Python"])
    javascript = re.search(r"fetch\((.*)\);", made["JavaScript"])

    assert shlex.split(made["cURL"])[-1] == address
    assert python is not None
    assert eval(python[1]) == address
    assert javascript is not None
    assert json.loads(javascript[1]) == address


def test_page_cannot_be_broken_out_of() -> None:
    """Texts are escaped; the button copies what stands below it."""
    import html.parser

    class Reader(html.parser.HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.texts: list[str] = []

        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

        def handle_data(self, data: str) -> None:
            self.texts.append(data)

    text = "</pre><script>alert(1)</script>\"'><b>"
    reader = Reader()
    reader.feed(snippets_html({"a<b>": text}))

    assert reader.tags == ["details", "summary", "button", "pre"]
    assert reader.texts == ["a<b> ", "copy", text]


def test_printed_they_are_all_there() -> None:
    """Each below its name."""
    snippets = Snippets({"a": "1", "b": "2"})

    assert repr(snippets) == "# a\n1\n\n# b\n2"
    assert (len(snippets), list(snippets), snippets["b"]) == (2, ["a", "b"], "2")
