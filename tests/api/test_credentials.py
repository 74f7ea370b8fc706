from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

import fused_jupyter as fused
from fused_jupyter import _alias
from fused_jupyter.api import credentials
from fused_jupyter.errors import NoServerError
from fused_jupyter.runtime import current_kernel
from fused_jupyter.runtime.server import BASE_URL_VARIABLE

KEY = "the-secret-key"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a Jupyter server leaves for its kernels."""
    (tmp_path / "jpserver-77.json").write_text(
        json.dumps({"base_url": "/", "hostname": "localhost", "port": 8888, "pid": 77, "token": "jupyter-token"})
    )
    own = {"pid": 77, "url": "http://127.0.0.1:8888/", "base_url": "/", "key": KEY}
    (tmp_path / "jpfused-77.json").write_text(json.dumps(own))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv(BASE_URL_VARIABLE, "/")
    runtime = current_kernel()
    monkeypatch.setattr(runtime, "directory", tmp_path)
    return tmp_path


def test_access_token_is_the_key_of_the_server(server: Path) -> None:
    """In each of the places where the official client has it."""
    notebook = fused.api.NotebookCredentials()

    assert fused.api.access_token() == KEY
    assert credentials.CREDENTIALS.credentials.access_token == KEY
    assert credentials.AUTHORIZATION.credentials.access_token == KEY
    assert notebook.credentials.access_token == KEY
    assert notebook.url == "http://127.0.0.1:8888/"
    assert (fused.api.auth_scheme(), notebook.auth_scheme) == ("Bearer", "Bearer")
    assert credentials.AUTHORIZATION.is_configured()


def test_no_repr_shows_the_key(server: Path) -> None:
    """A notebook keeps what a cell shows."""
    shown = [
        fused.api.NotebookCredentials(),
        credentials.AUTHORIZATION,
        credentials.CREDENTIALS.credentials,
        current_kernel().server(),
        fused.api.whoami(),
    ]

    assert not [each for each in shown if KEY in f"{each!r} {each} {vars(each) if hasattr(each, '__dict__') else ''}"]
    assert "http://127.0.0.1:8888/" in repr(credentials.AUTHORIZATION)


def test_server_without_a_key_gives_its_token(server: Path) -> None:
    """An older extension has written no file."""
    (server / "jpfused-77.json").unlink()

    assert fused.api.access_token() == "jupyter-token"


def test_no_server_is_told() -> None:
    """There is nothing to be opened."""
    with pytest.raises(NoServerError, match="not started by a Jupyter server"):
        fused.api.access_token()
    assert not credentials.AUTHORIZATION.is_configured()
    assert "no Jupyter server" in repr(credentials.AUTHORIZATION)


def test_no_udf_gets_the_key(server: Path) -> None:
    """It would open more than the UDF may do."""

    @fused.udf
    def steal() -> str:
        import fused

        try:
            key: str = fused.api.access_token()
        except fused.errors.NoServerError:
            return "none"
        return key

    assert fused.run(steal) == "none"


def test_user_is_that_of_the_machine_or_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no account elsewhere."""
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")

    assert fused.api.whoami() == {"email": "ada@localhost", "handle": "ada", "name": "ada"}


def test_logout_says_that_there_is_none(capsys: pytest.CaptureFixture[str], server: Path) -> None:
    """And ends nothing."""
    fused.api.logout()

    assert "no login" in capsys.readouterr().out
    assert fused.api.access_token() == KEY


def test_module_of_the_official_client_leads_here() -> None:
    """`from fused._auth import CREDENTIALS` is in its documentation."""
    was_there = "fused" in sys.modules
    _alias.install()
    try:
        module = importlib.import_module("fused._auth")
        assert module is credentials
        assert credentials.__name__ == "fused_jupyter.api.credentials"
    finally:
        if not was_there:
            _alias.uninstall()
    assert os.environ.get("FUSED_AUTH_TOKEN") is None
