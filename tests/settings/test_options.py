from __future__ import annotations

from typing import Any

import orjson
import pytest

from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import Options


def test_options_travel_as_json() -> None:
    """The host gets the settings that the kernel has."""
    options = Options(workers=3, preload=("numpy",), tile_timeout=1.5)

    assert Options.from_json(orjson.loads(orjson.dumps(options.to_json()))) == options


def test_environment_overrides_the_defaults() -> None:
    """`FUSED_<NAME>` is converted to the kind of the setting."""
    options = Options.from_environment(
        {
            "FUSED_WORKERS": "5",
            "FUSED_TILE_TIMEOUT": "2.5",
            "FUSED_PRELOAD": "numpy, pandas,",
            "FUSED_CACHE_MAX_AGE": "1h",
        }
    )

    assert (options.workers, options.tile_timeout, options.cache_max_age) == (5, 2.5, "1h")
    assert options.preload == ("numpy", "pandas")


def test_environment_of_the_wrong_kind_names_its_variable() -> None:
    """The message tells which one, and gives an example."""
    with pytest.raises(ArgumentError, match=r"FUSED_WORKERS: got 'many', need int"):
        Options.from_environment({"FUSED_WORKERS": "many"})


@pytest.mark.parametrize(
    "values",
    [
        {"workers": 0},
        {"workers": -1},
        {"tile_timeout": -0.1},
        {"cache_size": -1},
        {"workers": "4"},
        {"workers": True},
        {"preload": "numpy"},
        {"cache_directory": None},
        {"workers": 2.5},
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any]) -> None:
    """Kind and range are tested when the value is made."""
    with pytest.raises(ArgumentError, match=f"FUSED_{next(iter(values)).upper()}: got"):
        Options(**values)


def test_whole_seconds_are_seconds() -> None:
    """An int stands for a float."""
    assert Options(tile_timeout=3).tile_timeout == 3


def test_there_are_always_two_workers() -> None:
    """One slow UDF does not stop a map on a machine with one core."""
    assert Options().workers >= 2


def test_cache_lies_where_the_system_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME decides."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")

    assert Options().cache_directory == "/somewhere/fused_jupyter"


@pytest.mark.parametrize(("text", "meant"), [("1", True), ("Yes", True), ("true", True), ("0", False), ("off", False)])
def test_truth_has_many_words(text: str, meant: bool) -> None:
    """As people write it into a shell."""
    assert Options.from_environment({"FUSED_LEARN_PRELOAD": text}).learn_preload is meant


def test_environment_that_is_neither_true_nor_false_is_refused() -> None:
    """A word that means nothing must not switch anything."""
    with pytest.raises(ArgumentError, match=r"FUSED_LEARN_PRELOAD: got 'perhaps', need bool"):
        Options.from_environment({"FUSED_LEARN_PRELOAD": "perhaps"})


def test_no_preload_is_a_choice() -> None:
    """An empty variable is not the same as none."""
    assert Options.from_environment({"FUSED_PRELOAD": ""}).preload == ()


def test_start_method_is_one_of_two() -> None:
    """The message names both."""
    with pytest.raises(ArgumentError, match=r"FUSED_START_METHOD: got 'forkserver', need fork or spawn"):
        Options(start_method="forkserver")
