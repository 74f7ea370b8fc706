from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

import fused_jupyter as fused
from fused_jupyter.api.secrets import Secrets
from fused_jupyter.errors import AccessError, ArgumentError, SecretError, UdfRuntimeError

VALUE = "s3cret-value"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where secrets lie in this test."""
    path = tmp_path / "deep" / "secrets.json"
    monkeypatch.setenv("FUSED_SECRETS_FILE", str(path))
    return path


def test_secret_is_kept_for_its_owner_alone(file: Path) -> None:
    """Whatever the umask says; it comes back as an item and as an attribute."""
    before = os.umask(0)
    try:
        fused.secrets["earthdata"] = VALUE
        fused.secrets.other = "x"
    finally:
        os.umask(before)

    assert (fused.secrets["earthdata"], fused.secrets.earthdata, fused.user_secrets.other) == (VALUE, VALUE, "x")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert (list(fused.secrets), len(fused.secrets), "nothing" in fused.secrets) == (["earthdata", "other"], 2, False)
    del fused.secrets.other
    assert json.loads(file.read_text()) == {"earthdata": VALUE}


def test_environment_has_what_the_file_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file wins; what opens a server is no secret of a UDF's."""
    monkeypatch.setenv("OWN_KEY", "of the environment")
    monkeypatch.setenv("JUPYTER_TOKEN", "t0ken")

    assert fused.secrets["OWN_KEY"] == fused.secrets.get("OWN_KEY") == "of the environment"
    assert "OWN_KEY" not in list(fused.secrets)
    fused.secrets["OWN_KEY"] = VALUE
    assert fused.secrets.OWN_KEY == VALUE
    assert "JUPYTER_TOKEN" not in fused.secrets


def test_missing_secret_says_how_to_keep_one() -> None:
    """As an item, as an attribute, and with a default."""
    with pytest.raises(KeyError, match=r"there is no secret 'nothing': fused.secrets\['nothing'\] = '…'"):
        _ = fused.secrets["nothing"]
    with pytest.raises(AttributeError, match="there is no secret 'nothing'"):
        _ = fused.secrets.nothing
    assert fused.secrets.get("nothing", "else") == "else"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    """Nothing of it is given, and nothing is added to it."""
    fused.secrets["key"] = VALUE
    file.chmod(mode)

    with pytest.raises(SecretError, match=f"mode {mode:o}.*chmod 600") as caught:
        _ = fused.secrets["key"]
    with pytest.raises(SecretError):
        fused.secrets["more"] = "y"
    assert VALUE not in str(caught.value) + repr(fused.secrets)


@pytest.mark.parametrize(
    "text", ['{"key": "s3cret-value', '{"key": {"inner": "s3cret-value"}}', '["s3cret-value"]', ""]
)
def test_broken_file_is_an_error_without_its_content(file: Path, text: str) -> None:
    """Nor in the errors behind the error."""
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(text)

    with pytest.raises(SecretError, match="no JSON object of texts") as caught:
        _ = fused.secrets["key"]
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert VALUE not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_repr_and_no_log_shows_a_value(caplog: pytest.LogCaptureFixture) -> None:
    """Names only; a notebook is a file that is passed on."""
    with caplog.at_level(logging.DEBUG):
        fused.secrets["key"] = VALUE
        shown = [
            repr(fused.secrets),
            str(fused.secrets),
            f"{fused.secrets}",
            repr(vars(Secrets)),
            str(dir(fused.secrets)),
        ]

    assert VALUE not in "".join(shown) + caplog.text
    assert "key" in repr(fused.secrets)


def test_secret_reaches_workers_and_renews_results(file: Path) -> None:
    """Also one that is set after the worker was made; a result that is kept was made with its key."""
    fused.set_env(FUSED_SECRETS_FILE=str(file))
    try:
        udf = fused.load("def f():\n    return len(fused.secrets['key']), fused.secrets.key[:2], repr(fused.secrets)\n")
        fused.secrets["key"] = VALUE
        assert udf(cache_max_age="1h") == (len(VALUE), "s3", "<secrets: key; values are not shown>")
        fused.secrets["key"] = "other"
        assert udf(cache_max_age="1h")[0] == 5
        with pytest.raises(UdfRuntimeError, match="there is no secret 'nothing'") as caught:
            fused.load("def f():\n    return fused.secrets['nothing']\n")()
        assert "other" not in str(caught.value.to_wire())
    finally:
        fused.set_env(FUSED_SECRETS_FILE=None)


def test_user_secrets_are_read_only() -> None:
    """As in Fused."""
    with pytest.raises(AccessError, match="can only be read"):
        fused.user_secrets["key"] = "x"
    with pytest.raises(AccessError, match="can only be read"):
        del fused.user_secrets["key"]


@pytest.mark.parametrize("value", [None, 5, b"x", {"a": "b"}])
def test_secret_is_a_text(value: object) -> None:
    """An object is kept as its JSON."""
    with pytest.raises(ArgumentError, match="need texts for both"):
        fused.secrets["key"] = value  # type: ignore[assignment]


def test_api_object_has_them_as_methods() -> None:
    """By the names of the official client."""
    api = fused.api.FusedAPI()
    api.set_secret_value("key", VALUE)

    assert (api.get_secret_value("key"), api.list_secrets()) == (VALUE, ["key"])
    api.delete_secret_value("key")
    assert api.list_secrets() == []
