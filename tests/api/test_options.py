from __future__ import annotations

import os
from pathlib import Path

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, NoServerError
from fused_jupyter.runtime import current


@pytest.fixture(autouse=True)
def _back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_MIRRORS", "MAX_RECURSION_FACTOR", "WORKERS"):
        monkeypatch.setenv(f"FUSED_{name}", os.environ.get(f"FUSED_{name}", ""))
    monkeypatch.delenv("FUSED_GIT_MIRRORS")
    monkeypatch.delenv("FUSED_MAX_RECURSION_FACTOR")


def test_setting_counts_at_once_also_in_workers(tmp_path: Path) -> None:
    """As a list, a dict or a path; a UDF that sets one sets it for its run."""
    current()
    udf = fused.load(
        "def f():\n    was = fused.options.git_mirrors\n    fused.options.git_mirrors = []\n    return was\n"
    )
    try:
        fused.options.git_mirrors = {"a/b": tmp_path}
        assert fused.options.git_mirrors == udf() == udf() == [f"a/b={tmp_path}"]
        fused.options.git_mirrors = [tmp_path, "c/d=/e"]
        assert fused.options.git_mirrors == udf() == [str(tmp_path), "c/d=/e"]
    finally:
        fused.set_env(FUSED_GIT_MIRRORS=None)


def test_setting_that_is_read_once_is_not_set_too_late() -> None:
    """It would change nothing, and say nothing."""
    current()

    with pytest.raises(ArgumentError, match="fused.options.workers is read once.*FUSED_WORKERS.*restart the kernel"):
        fused.options.workers = 3
    assert fused.options.workers == 2


def test_wrong_value_is_refused() -> None:
    """By the variable's name; what was before stays."""
    with pytest.raises(ArgumentError, match="FUSED_MAX_RECURSION_FACTOR: got 'many'"):
        fused.options.max_recursion_factor = "many"
    with pytest.raises(ArgumentError, match="a comma stands between two"):
        fused.options.git_mirrors = ["/a,b"]
    assert fused.options.max_recursion_factor == 5


def test_settings_of_the_cloud_are_kept_and_mean_nothing() -> None:
    """So that code which sets them goes on."""
    inside = fused.load("def f():\n    fused.options.request_timeout = 120\n    return fused.options.request_timeout\n")
    assert inside() == 120

    fused.options.verbose_cached_functions = False
    assert fused.options.verbose_cached_functions is False
    fused.options.show.open_browser = False
    assert fused.options.default_udf_run_engine == "local"


def test_misspelt_setting_is_an_error() -> None:
    """To read and to write."""
    with pytest.raises(AttributeError, match="did you mean git_mirrors"):
        _ = fused.options.git_mirror
    with pytest.raises(ArgumentError, match="did you mean git_mirrors"):
        fused.options.git_mirror = []


def test_addresses_are_those_of_the_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """None without one; that of files is there always."""
    with pytest.raises(NoServerError):
        _ = fused.options.base_url
    with pytest.raises(ArgumentError, match="that of this kernel's own server"):
        fused.options.base_url = "https://example.com"
    assert fused.options.fd_prefix.startswith("file:///")

    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.com/")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/user/ann/")
    assert fused.options.base_url == "https://hub.example.com/user/ann/fused/server/v1"
    assert fused.options.base_url.rsplit("/server", 1)[0] == fused.options.base_web_url


def test_options_show_themselves() -> None:
    """As text and as a table; saving says how settings are kept."""
    assert "git_mirrors = []" in repr(fused.options)
    assert "<code>workers</code>" in fused.options._repr_html_()
    with pytest.raises(ArgumentError, match="FUSED_<NAME> in the environment"):
        fused.options.save()
