"""Small git repositories with UDFs, and a server that answers for them as GitHub does; for tests."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CODE = "BASE = {base}\n@fused.udf\ndef udf(n: int = 1):\n    return n + BASE\n"


def meta(name: str, *, headers: Mapping[str, str] | None = None, code: str | None = None, **metadata: Any) -> str:
    """A `meta.json` of a UDF, with its source in a file, or in itself."""
    udf: dict[str, Any] = {
        "type": "geopandas_v2",
        "name": name,
        "entrypoint": "udf",
        "parameters": {},
        "metadata": metadata,
        "headers": [{"module_name": module, "source_file": file} for module, file in (headers or {}).items()],
    }
    udf |= {"source": f"{name}.py"} if code is None else {"code": code}
    return json.dumps({"version": "0.0.3", "job_config": {"steps": [{"type": "udf", "udf": udf}]}})


def folder(path: Path, name: str, code: str, **metadata: Any) -> Path:
    """A folder of a UDF on disk."""
    place = path / name
    place.mkdir(parents=True)
    (place / f"{name}.py").write_text(code)
    (place / "meta.json").write_text(meta(name, **metadata))
    return place


class SmallRepository:
    """A git repository in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """What git prints."""
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", "-C", self.path, *who, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """Write files and commit them; gives the whole hash."""
        for name, text in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


class GitHub:
    """A server with the routes of GitHub that are used: raw files, refs, and lists of folders."""

    def __init__(self, repositories: Mapping[str, SmallRepository]) -> None:
        self.repositories = repositories
        self.asked: Counter[str] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                outer.asked[unquote(parts.path)] += 1
                answer = outer.answer(unquote(parts.path), parse_qs(parts.query))
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Length", str(len(answer or b"")))
                self.end_headers()
                self.wfile.write(answer or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, query: Mapping[str, list[str]]) -> bytes | None:
        """The body for a path; None is 404."""
        api = path.removeprefix("/api/v3/repos")
        owner, name, *rest = api.strip("/").split("/")
        repository = self.repositories.get(f"{owner}/{name.removesuffix('.git')}")
        if repository is None:
            return None
        if rest[:2] == ["info", "refs"]:
            return self._refs(repository)
        if rest[0] == "raw":
            return self._shown(repository, rest[1], "/".join(rest[2:]))
        return self._listed(repository, query["ref"][0], "/".join(rest[1:]))

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _refs(repository: SmallRepository) -> bytes:
        head = repository.git("rev-parse", "HEAD")
        lines = [
            f"{head} HEAD\0 multi_ack side-band-64k\n",
            *(f"{line}\n" for line in repository.git("show-ref", "-d").splitlines()),
        ]
        packets = "".join(f"{len(line) + 4:04x}{line}" for line in lines)
        return f"001e# service=git-upload-pack\n0000{packets}0000".encode()

    @staticmethod
    def _shown(repository: SmallRepository, ref: str, path: str) -> bytes | None:
        done = subprocess.run(["git", "-C", repository.path, "show", f"{ref}:{path}"], check=False, capture_output=True)
        return done.stdout if done.returncode == 0 and not done.stdout.startswith(b"tree ") else None

    @staticmethod
    def _listed(repository: SmallRepository, ref: str, path: str) -> bytes | None:
        kinds = {"blob": "file", "tree": "dir"}
        command = ["git", "-C", repository.path, "ls-tree", f"{ref}:{path}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        rows = [line.split(None, 3) for line in done.stdout.splitlines()]
        entries = [{"name": name, "type": kinds[kind]} for _, kind, _, name in rows]
        return json.dumps(entries).encode() if done.returncode == 0 else None
