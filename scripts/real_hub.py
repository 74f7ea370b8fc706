"""A real JupyterHub with its proxy, whose users all are one system user with a home each: for the tests."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from real_jupyter import Answer, Server, free_port
from real_lab import LAB_ARGUMENTS

PROXY = Path(__file__).parent.parent / "js" / "node_modules" / ".bin" / "configurable-http-proxy"
BASE_URL = "/hubs/one/"
"""The Hub is not at the root, as on many a real site."""


class HubUser(Server):
    """One user's server, reached as the world reaches it: through the proxy, with a token of the Hub."""

    def __init__(self, hub: JupyterHub, name: str) -> None:
        self.name = name
        self.path = f"{BASE_URL}user/{name}/"
        self.root = f"{hub.origin}{self.path}"
        self.directory = hub.home / name
        self.runtime_directory = self.directory / ".local" / "share" / "jupyter" / "runtime"
        self.token = hub.ask("POST", f"users/{name}/tokens")["token"]

    def page(self, path: str) -> str:
        """The address of a page of JupyterLab, for a browser that is logged in."""
        return f"{self.root}lab/tree/{path}?reset"


class Visitor:
    """A browser's cookies, without the browser."""

    def __init__(self, hub: JupyterHub, name: str) -> None:
        """Log in at the Hub as a user.

        Args:
            hub: where.
            name: of the user.
        """
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        login = f"{hub.origin}{BASE_URL}hub/login"
        self.get(login)
        form = {"username": name, "password": "", "_xsrf": self.cookie("_xsrf", f"{BASE_URL}hub/")}
        self._opener.open(login, urllib.parse.urlencode(form).encode()).close()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET an address with the cookies that belong there."""
        started = time.perf_counter()
        try:
            response = self._opener.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=60)
        except urllib.error.HTTPError as exc:  # an answer as any other
            response = exc
        with response:
            body = response.read()
        seconds = time.perf_counter() - started
        return Answer(status=response.status, headers=response.headers, body=body, seconds=seconds)

    def cookie(self, name: str, path: str) -> str:
        """The value of a cookie.

        Raises:
            LookupError: there is none; says which there are.
        """
        for cookie in self.jar:
            if (cookie.name, cookie.path) == (name, path):
                return cookie.value or ""
        raise LookupError(f"no cookie {name} of {path}; there are {[(one.name, one.path) for one in self.jar]}")


class JupyterHub:
    """JupyterHub and its proxy on free loopback ports; anybody who says a name is that user."""

    def __init__(self, *users: str) -> None:
        """Start it, and a server for each user, and wait until all answer."""
        if not PROXY.exists():
            raise RuntimeError(f"{PROXY} is missing; `make js` installs it")
        self._scratch = tempfile.TemporaryDirectory(prefix="fused-hub-")
        self.home = Path(self._scratch.name)
        self.origin = f"http://127.0.0.1:{free_port()}"
        self._admin = secrets.token_hex(16)
        config = self.home / "hub.json"
        config.write_text(json.dumps(self._config()))
        self.log_path = self.home / "hub.log"
        self._log = self.log_path.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", f"--config={config}"],
            env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16), "NODE_ENV": "production"},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            cwd=self.home,
        )
        try:
            self._wait_until(lambda: bool(self.ask("GET", "")))
            for name in users:
                self.ask("POST", f"users/{name}")
                self.ask("POST", f"users/{name}/server")
            for name in users:
                self._wait_until(lambda name=name: self.ask("GET", f"users/{name}")["servers"][""]["ready"])
            self.users = {name: HubUser(self, name) for name in users}
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        """What it, its proxy and the servers have logged."""
        return self.log_path.read_text(errors="replace")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A request to the Hub's API as its administrator; gives the parsed body, None for an empty one."""
        request = urllib.request.Request(
            f"{self.origin}{BASE_URL}hub/api/{path}",
            method=method,
            headers={"Authorization": f"token {self._admin}"},
            data=json.dumps(body or {}).encode() if method == "POST" else None,
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or "null")

    def close(self) -> None:
        """End it, its proxy and the servers."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _config(self) -> dict[str, Any]:
        return {
            "JupyterHub": {
                "bind_url": f"{self.origin}{BASE_URL}",
                "hub_bind_url": f"http://127.0.0.1:{free_port()}",
                "db_url": f"sqlite:///{self.home / 'hub.sqlite'}",
                "authenticator_class": "dummy",
                "spawner_class": "simple",
                "services": [{"name": "tests", "api_token": self._admin}],
                "tornado_settings": {"slow_spawn_timeout": 0},  # all servers start at the same time
                "load_roles": [{"name": "admin", "services": ["tests"]}],
            },
            "ConfigurableHTTPProxy": {"command": [str(PROXY)], "api_url": f"http://127.0.0.1:{free_port()}"},
            "Spawner": {
                "cmd": [sys.executable, "-m", "jupyterhub.singleuser"],
                "args": ["--allow-root", "--ServerApp.jpserver_extensions=fused_jupyter=True", *LAB_ARGUMENTS],
                "start_timeout": 60,
            },
            "SimpleLocalProcessSpawner": {"home_dir_template": str(self.home / "{username}")},
        }

    def _wait_until(self, holds: Any) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"JupyterHub ended:\n{self.log}")
            with contextlib.suppress(OSError):  # nobody listens yet, or the proxy has no route yet
                if holds():
                    return
            time.sleep(0.1)
        raise TimeoutError(f"JupyterHub was not ready within 90 s:\n{self.log}")
