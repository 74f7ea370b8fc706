from __future__ import annotations

import copy
import hashlib
import os
import pickle
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

import fused_jupyter as fused
from fused_jupyter.api.limits import limits_of, told
from fused_jupyter.api.saved import library
from fused_jupyter.errors import (
    AccessError,
    ArgumentError,
    FormatError,
    NoServerError,
    ShareError,
    UdfExistsError,
    UnknownTokenError,
    UnknownUdfError,
)
from fused_jupyter.runtime import current, current_kernel
from fused_jupyter.udfs import UdfDefinition

CODE = "def quakes(bounds: fused.types.Bounds = None, min_mag: float = 4.0, word: str = ''):\n    return min_mag"


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """No UDF is saved, no token open, and names are free again after each test."""
    for udf in fused.api.get_udfs().values():
        udf.delete_saved()
    registry = current().registry
    before = dict(registry._definitions)
    yield
    for token in fused.api.get_udf_access_tokens():
        token.delete()
    registry._definitions.clear()
    registry._definitions.update(before)


@pytest.fixture
def quakes(definition: Callable[..., UdfDefinition]) -> fused.Udf:
    """A UDF of the notebook, not saved."""
    return fused.Udf(definition(CODE)).register()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the kernel believes its Jupyter server to be."""
    directory = current_kernel().directory
    directory.mkdir(parents=True, exist_ok=True)
    info = {"base_url": "/lab/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t0ken", "pid": 77}
    path = directory / "jpserver-77.json"
    path.write_bytes(orjson.dumps(info))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/lab/")
    yield "http://localhost:8888/lab/fused"
    path.unlink()


# -- which token one gets


def test_token_of_a_saved_udf_lasts(quakes: fused.Udf) -> None:
    """It opens the saved one, and the library knows only its hash."""
    quakes.to_fused()

    token = quakes.create_access_token()

    assert (token.is_live, token.udf_slug, token.udf_id) == (False, "quakes", quakes.metadata["fused:id"])
    assert token.token.startswith("fsh_")
    assert len(token.token) == len("fsh_") + 43
    assert library().opened_by(hashlib.sha256(token.token.encode()).hexdigest()).id == token.id
    assert token.definition == quakes.definition
    assert token.last_updated is not None
    assert abs(token.last_updated - datetime.now(UTC)) < timedelta(minutes=1)


def test_token_of_an_unsaved_udf_is_live(quakes: fused.Udf) -> None:
    """So is one of a version that is not the saved one, and one that is asked for."""
    live = quakes.create_access_token(rate="20/s")
    quakes.to_fused()
    asked = quakes.create_access_token(live=True)
    changed = quakes.set_parameters({"min_mag": 5.0}).register().create_access_token()

    assert [each.is_live for each in (live, asked, changed)] == [True] * 3
    assert current_kernel().granted()[hashlib.sha256(live.token.encode()).hexdigest()] == ("quakes", live.limits)
    assert "lives as long as this kernel" in repr(live)
    assert "to_fused()" in live._repr_html_()


def test_lasting_token_is_not_made_of_what_is_not_saved(quakes: fused.Udf) -> None:
    """It would open something else."""
    with pytest.raises(UnknownUdfError, match=r"this version of quakes is not saved.*to_fused\(overwrite=True\) first"):
        quakes.create_access_token(live=False)


def test_live_token_of_a_loaded_udf_takes_its_name_if_it_is_free(quakes: fused.Udf) -> None:
    """As a map would: else the token would open another UDF."""
    loaded = fused.load(CODE.replace("min_mag\n", "1\n").replace("return min_mag", "return 1"))

    with pytest.raises(UdfExistsError, match="register"):
        loaded.create_access_token()
    other = fused.load("def other(): return 2")
    other.create_access_token()

    assert current().registry.get("other") == other.definition
    assert current().registry.get("quakes") == quakes.definition


# -- the secret


@pytest.mark.parametrize("is_saved", [True, False])
def test_secret_is_in_nothing_that_a_notebook_shows(quakes: fused.Udf, server: str, *, is_saved: bool) -> None:
    """In no format that IPython asks for, of the token, its list and its UDF; nor in copies."""
    from IPython.core.formatters import DisplayFormatter

    if is_saved:
        quakes.to_fused()
    token = quakes.create_access_token()
    secret = token.token
    others = [fused.api.get_udf_access_tokens(), quakes.get_access_token(), quakes, fused.api.get_udfs(), token.limits]
    shown: list[Any] = [DisplayFormatter().format(each) for each in (token, *others)]

    assert secret in token.get_file_url()
    assert secret not in repr(shown)
    assert "YOUR_TOKEN" in shown[0][0]["text/html"]
    assert "text/html" in shown[1][0]
    for again in (copy.copy(token), copy.deepcopy(token), pickle.loads(pickle.dumps(token)), *others[0]):
        assert (again.token, again) == (token.id, token)
        assert secret not in pickle.dumps(again).decode("latin-1")


def test_secret_is_had_once(quakes: fused.Udf, server: str) -> None:
    """Later objects have the public id, and say so when an address is wanted."""
    made = quakes.create_access_token()
    later = quakes.get_access_token()

    assert (later, later.token) == (made, made.id)
    for ask in (later.get_file_url, later.get_tile_url, later.snippets):
        with pytest.raises(AccessError, match="make another"):
            ask()
    assert fused.api.get_udf_access_token(made.token).get_file_url() == made.get_file_url()


def test_token_whose_udf_is_gone_is_still_shown(quakes: fused.Udf, server: str) -> None:
    """With what is wrong, not with a traceback."""
    quakes.to_fused(collection_name="earth", create_collection=True)
    token, of_all = quakes.create_access_token(), fused.api.create_collection_access_token("earth")

    assert "for_udf(&#x27;name&#x27;), there are quakes" in of_all._repr_html_()
    quakes.delete_saved()

    assert "it may have been deleted" in token._repr_html_()
    assert "there are none yet" in of_all._repr_html_()
    assert server not in token._repr_html_()


# -- addresses


def test_addresses_are_below_the_server(quakes: fused.Udf, server: str) -> None:
    """With arguments as a URL carries them."""
    token = quakes.create_access_token()
    secret = token.token

    assert token.get_file_url() == f"{server}/{secret}/run/file"
    assert token.get_file_url("csv") == f"{server}/{secret}.csv"
    assert token.get_tile_url("png") == f"{server}/{secret}/run/tiles/{{z}}/{{x}}/{{y}}.png"
    query = parse_qs(urlsplit(token.get_file_url("csv", min_mag=6, word="a&b")).query)
    assert query == {"min_mag": ["6"], "word": ["a&b"]}
    assert quakes.shared_url("json").startswith(f"{server}/fsh_")


def test_collection_token_names_the_udf(quakes: fused.Udf, server: str) -> None:
    """It says which there are."""
    quakes.to_fused(collection_name="earth", create_collection=True)
    token = fused.api.create_collection_access_token("earth", rate=2)

    assert token.token.startswith("fc_")
    assert (token.collection_name, token.udf_id, token.limits.rate) == ("earth", None, 2.0)
    with pytest.raises(UnknownUdfError, match=r"for_udf\('name'\), there are quakes"):
        token.get_file_url()
    assert token.for_udf("quakes").get_file_url("csv") == f"{server}/{token.token}/quakes.csv"
    assert token.for_udf("quakes").get_tile_url() == f"{server}/{token.token}/quakes/run/tiles/{{z}}/{{x}}/{{y}}"
    assert fused.run(f"{token.token}/quakes", min_mag=6) == 6.0
    assert fused.run(token.for_udf("quakes")) == 4.0
    with pytest.raises(UnknownUdfError, match="quakes"):
        fused.run(token.token)
    with pytest.raises(UnknownUdfError):
        token.for_udf("tides")


def test_snippets_hold_the_secret_and_the_arguments(quakes: fused.Udf, server: str) -> None:
    """On request; in formats that the token allows."""
    token = quakes.create_access_token(formats=("csv", "png"))

    texts = token.snippets(min_mag=6)

    assert texts["Google Sheets"] == f'=IMPORTDATA("{server}/{token.token}.csv?min_mag=6")'
    assert {"Leaflet", "QGIS"} <= texts.keys()
    assert "Python" not in texts


def test_without_a_server_there_is_a_token_and_no_address(quakes: fused.Udf) -> None:
    """The message says where there would be one."""
    quakes.to_fused()
    token = quakes.create_access_token()

    with pytest.raises(NoServerError):
        token.get_file_url()
    assert "JupyterLab" in token._repr_html_()
    before = len(quakes.get_access_tokens())
    with pytest.raises(NoServerError):
        quakes.shared_url()
    assert len(quakes.get_access_tokens()) == before


def test_address_behind_a_hub_leaves_the_host_to_the_reader(
    quakes: fused.Udf, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the browser knows it."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ana/")

    assert quakes.create_access_token().get_file_url("csv").startswith("https://YOUR-SERVER/user/ana/fused/fsh_")


# -- limits


def test_limits_are_written_as_people_write_them() -> None:
    """Times, rates, names."""
    now = time.time()

    assert limits_of({"expires": "7d"}).expires == pytest.approx(now + 7 * 86400, abs=5)
    assert limits_of({"expires": 90}).expires == pytest.approx(now + 90, abs=5)
    assert limits_of({"expires": timedelta(hours=1)}).expires == pytest.approx(now + 3600, abs=5)
    assert limits_of({"expires": datetime(2030, 1, 1, tzinfo=UTC)}).expires == 1893456000
    assert [limits_of({"rate": rate}).rate for rate in (5, 0.5, "20/s", "90 / min", "36/h")] == [5, 0.5, 20, 1.5, 0.01]
    assert limits_of({"formats": [".CSV", "png"], "parameters": "a"}).formats == ("csv", "png")
    assert limits_of({"zooms": (0, 14)}).zooms == (0, 14)
    assert told(limits_of({"cache": False, "concurrency": 2})) == ["2 at a time", "nothing from the cache"]


@pytest.mark.parametrize(
    ("wishes", "error", "says"),
    [
        ({"expires": "soon"}, ArgumentError, "expires: got 'soon', need"),
        ({"rate": "fast"}, ArgumentError, "rate: got 'fast', need"),
        ({"rate": 0}, ArgumentError, "rate=0"),
        ({"formats": ("cvs",)}, FormatError, "formats: 'cvs' is none; did you mean csv"),
        ({"parameters": ("min_mga",)}, ArgumentError, "quakes has no 'min_mga'; did you mean min_mag"),
        ({"zooms": (5, 3)}, ArgumentError, "zooms"),
        ({"concurrency": 0}, ArgumentError, "concurrency"),
    ],
)
def test_what_cannot_be_a_limit_says_why(
    quakes: fused.Udf, wishes: dict[str, Any], error: type[Exception], says: str
) -> None:
    """And makes no token."""
    with pytest.raises(error, match=says):
        quakes.create_access_token(**wishes)
    assert not quakes.get_access_tokens()


def test_argument_that_is_not_allowed_gets_no_address(quakes: fused.Udf, server: str) -> None:
    """Whoever had it would be refused."""
    token = quakes.create_access_token(parameters=("min_mag",))

    assert token.get_file_url(min_mag=5).endswith("?min_mag=5")
    with pytest.raises(ArgumentError, match="does not allow word"):
        token.get_file_url(word="a")


# -- changing


@pytest.mark.parametrize("is_saved", [True, False])
def test_token_changes_and_keeps_the_rest(quakes: fused.Udf, *, is_saved: bool) -> None:
    """Where it counts, not in this object only."""
    if is_saved:
        quakes.to_fused()
    token = quakes.create_access_token(rate=1, zooms=(0, 9))
    seen = fused.api.get_udf_access_token(token.token)

    assert token.update(rate="2/s", cache=False) is token
    assert (token.limits.rate, token.limits.zooms, token.cache) == (2.0, (0, 9), False)
    assert seen.limits.rate == 1.0
    assert seen.refresh().limits == token.limits
    assert fused.api.update_udf_access_token(token.token, formats=("csv",)).limits.rate == 2.0


def test_lasting_token_can_be_closed_and_opened(quakes: fused.Udf) -> None:
    """And its metadata changed; made closed, too."""
    quakes.to_fused()
    token = quakes.create_access_token(enabled=False, metadata_json={"name": "Quakes"})

    assert not token.enabled
    assert "closed" in repr(token)
    assert token.metadata_json == {"name": "Quakes"}
    with pytest.raises(ShareError):
        library().opened_by(hashlib.sha256(token.token.encode()).hexdigest())
    assert token.update(enabled=True, metadata_json=None).enabled
    assert (token.refresh().enabled, token.metadata_json) == (True, None)


def test_live_token_has_limits_only(quakes: fused.Udf) -> None:
    """The message says what has the rest."""
    with pytest.raises(ArgumentError, match="metadata_json: a live token has limits only"):
        quakes.create_access_token(metadata_json={"a": 1})
    token = quakes.create_access_token()
    with pytest.raises(ArgumentError, match="enabled: a live token has limits only, and delete"):
        token.update(enabled=False)


@pytest.mark.parametrize("is_saved", [True, False])
def test_deleted_token_is_gone(quakes: fused.Udf, *, is_saved: bool) -> None:
    """By the object or by the public id."""
    if is_saved:
        quakes.to_fused()
    first, second = quakes.create_access_token(), quakes.create_access_token()

    first.delete()
    assert fused.api.delete_udf_access_token(second.id, enabled=True) == second

    assert quakes.get_access_tokens() == []
    for gone in (first, second):
        with pytest.raises(UnknownTokenError):
            gone.refresh()
        with pytest.raises(UnknownTokenError):
            fused.api.get_udf_access_token(gone.token)
        with pytest.raises(UnknownTokenError):
            gone.delete()
    with pytest.raises(UnknownTokenError, match="quakes has no token"):
        quakes.get_access_token()


def test_saved_udf_takes_its_tokens_along(quakes: fused.Udf) -> None:
    """They would open nothing."""
    quakes.to_fused()
    token = quakes.create_access_token()

    quakes.delete_saved()

    with pytest.raises(UnknownTokenError):
        fused.api.get_udf_access_token(token.token)


# -- running by token


@pytest.mark.parametrize("is_saved", [True, False])
def test_owner_runs_and_loads_by_token(quakes: fused.Udf, *, is_saved: bool) -> None:
    """By the object, the secret, the public id."""
    if is_saved:
        quakes.to_fused()
    token = quakes.create_access_token()

    for named in (token, token.token, token.id):
        assert fused.run(named, min_mag=6) == 6.0
        assert fused.load(named).definition.digest == quakes.digest
    assert fused.run_result(token, min_mag=7).data == 7.0


@pytest.mark.parametrize("is_saved", [True, False])
def test_token_that_is_closed_runs_nothing_for_its_owner_either(quakes: fused.Udf, *, is_saved: bool) -> None:
    """Who tries whether it is closed should not be misled; no message repeats the secret."""
    if is_saved:
        quakes.to_fused()
    token = quakes.create_access_token()
    token.update(expires=0)

    for named in (token, token.token, token.id):
        with pytest.raises(ShareError, match="has expired.*prolongs it") as caught:
            fused.run(named)
        assert token.token not in str(caught.value)
    assert fused.run(token.update(expires="1h")) == 4.0
    if is_saved:
        token.update(enabled=False)
        with pytest.raises(ShareError, match="is closed.*enabled=True"):
            fused.load(token.token)


@pytest.mark.parametrize("token", ["fsh_" + "x" * 43, "fsh_123456789abc", "fc_" + "y" * 43 + "/quakes", "a" * 64])
def test_token_of_somebody_else_is_refused_without_being_repeated(token: str) -> None:
    """The error may stand in a saved notebook."""
    for use in (fused.run, fused.load):
        with pytest.raises(UnknownTokenError, match="none of your saved UDFs nor of this kernel") as caught:
            use(token)
        assert token not in str(caught.value)


# -- the functions of fused.api


def test_tokens_are_made_by_every_way_to_name_a_udf(quakes: fused.Udf) -> None:
    """As in the reference."""
    quakes.to_fused()
    api = fused.api.FusedAPI()
    udf_id = quakes.metadata["fused:id"]

    made = [
        api.create_udf_access_token("quakes"),
        api.create_udf_access_token(udf_id),
        api.create_udf_access_token(udf_id=udf_id),
        api.create_udf_access_token("me", "quakes"),
        api.create_udf_access_token(udf_email="me", udf_name="quakes", client_id="any", cache=False),
        api.create_udf_access_token(udf_name="quakes", expires="1d", metadata_json={"a": [1]}),
    ]

    assert {each.udf_id for each in made} == {udf_id}
    assert (made[4].client_id, made[4].cache, made[5].metadata_json) == ("any", False, {"a": [1]})
    assert made[5].limits.expires == pytest.approx(time.time() + 86400, abs=5)
    assert {each.id for each in api.get_udf_access_tokens()} == {each.id for each in made}
    assert len(api.get_udf_access_tokens(2, skip=1)) == 2
    assert api.get_udf_access_token(token=made[0].token) == made[0]
    with pytest.raises(ArgumentError, match="which UDF"):
        api.create_udf_access_token()
    with pytest.raises(UnknownUdfError):
        api.create_udf_access_token("tides")


def test_udfs_are_saved_and_deleted_by_the_object(quakes: fused.Udf) -> None:
    """The methods are the functions."""
    api = fused.api.FusedAPI()

    saved = api.save_udf(quakes, collection_name="earth", create_collection=True)
    assert [*api.get_udfs()] == ["earth/quakes"]
    assert "earth" in [each.name for each in api.list_collections()]
    api.delete_saved_udf(saved.metadata["fused:id"])

    assert not api.get_udfs()
    assert api.invalidate_cache(quakes) == 0


def test_both_import_paths_are_one_class() -> None:
    """As old code has them."""
    from fused_jupyter.api import FusedAPI
    from fused_jupyter.api.api import FusedAPI as Old

    assert FusedAPI is Old is fused.api.FusedAPI


def test_another_place_is_refused(server: str) -> None:
    """This one has its own UDFs only."""
    fused.api.FusedAPI(base_url=f"{server}/server/v1", shared_udf_base_url=server)
    with pytest.raises(ArgumentError, match=r"https://www.fused.io.*official client"):
        fused.api.FusedAPI(base_url="https://www.fused.io/server/v1")


def test_jobs_are_refused_with_what_to_do() -> None:
    """They come later."""
    with pytest.raises(AttributeError, match=r"start_job: batch jobs are not there yet; fused\.run"):
        fused.api.FusedAPI().start_job({})
    with pytest.raises(AttributeError, match="FusedAPI has no 'nothing'"):
        _ = fused.api.FusedAPI().nothing


def test_udfs_of_others_are_not_listed() -> None:
    """It says where they come from."""
    with pytest.raises(ArgumentError, match="UDFs of others are not kept here"):
        fused.api.get_udfs(whose="public")
    with pytest.raises(ArgumentError, match="by: got 'age'"):
        fused.api.get_udfs(by="age")  # type: ignore[arg-type]


def test_names_of_submodules_stay_importable() -> None:
    """Functions and modules of `fused.api` do not hide each other."""
    import importlib

    for name in ("saved", "tokens", "facade", "cache", "files", "api"):
        assert importlib.import_module(f"fused_jupyter.api.{name}").__name__ == f"fused_jupyter.api.{name}"
    assert set(dir(fused.api)) >= {"get_udfs", "FusedAPI", "run"}
    assert os.path.basename(fused.api.__file__) == "__init__.py"  # noqa: PTH119
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fused.api.nothing
