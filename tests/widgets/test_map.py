"""FusedMap without a page: its traits, and how it follows the registry."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from datetime import date
from typing import Any

import pytest

from fused_jupyter.errors import ArgumentError, UnknownUdfError
from fused_jupyter.widgets import FusedMap, TileLayer


def layers_sent(fused_map: FusedMap) -> list[dict[str, Any]]:
    return fused_map.get_state("layers")["layers"]


def test_importing_the_package_imports_no_widget_library() -> None:
    """`import fused_jupyter.widgets` stays light."""
    heavy = {"anywidget", "ipywidgets", "traitlets", "lonboard"}
    code = f"import sys, fused_jupyter.widgets; print({heavy} & {{*sys.modules}})"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"


def test_a_layer_may_be_a_name_an_object_or_a_tile_layer(registry: Any) -> None:
    """All three ways to say which UDF give the same layer."""

    class Udf:
        name = "quakes"

    made = [FusedMap(layer).layers for layer in ("quakes", Udf(), TileLayer("quakes"))]

    assert [(layer.name, layer.version, layer.parameters) for (layer,) in made] == [("quakes", "1", ("min_mag",))] * 3


def test_the_page_gets_plain_layers(registry: Any) -> None:
    """Layers travel as dicts with the digest, the accepted names and the paint."""
    fused_map = FusedMap(TileLayer("quakes", params={"day": date(2024, 5, 1)}, style={"color": "red"}))

    (layer,) = layers_sent(fused_map)

    assert layer["udf"] == "quakes"
    assert layer["version"] == "1"
    assert layer["parameters"] == ["min_mag"]
    assert layer["params"] == {"day": "2024-05-01"}
    assert layer["style"]["color"] == {"kind": "constant", "color": "#ff0000"}
    assert fused_map.kernel_id == "kernel-1"


def test_layers_get_different_colours(registry: Any) -> None:
    """A second layer can be told from the first."""
    fused_map = FusedMap("quakes", TileLayer("quakes", name="again"))

    colors = [layer["style"]["base"] for layer in layers_sent(fused_map)]

    assert len(set(colors)) == 2


def test_registering_again_renews_every_layer_of_that_udf(registry: Any, parameter: Any) -> None:
    """A new digest, new names and new controls; other layers stay as they are."""
    registry.register("other")
    fused_map = FusedMap("quakes", TileLayer("quakes", name="big", params={"min_mag": 6}), "other")

    registry.register("quakes", parameter(name="depth", default=10), digest="2")

    assert [layer.version for layer in fused_map.layers] == ["2", "2", "1"]
    assert [layer.parameters for layer in fused_map.layers] == [("depth",), ("depth",), ()]
    assert [control["name"] for control in fused_map.controls] == ["depth"]
    assert fused_map.layers[1].params == {"min_mag": 6}


def test_a_variadic_udf_takes_all_params(registry: Any, parameter: Any) -> None:
    """`**kw` has no names to filter by."""
    registry.register("any", parameter(name="kw", kind="variadic", has_default=False))

    assert FusedMap("any").layers[0].parameters is None


def test_an_unknown_udf_is_refused(registry: Any) -> None:
    """A name that nobody registered is an error at once, not an empty map."""
    with pytest.raises(UnknownUdfError, match="quaks"):
        FusedMap("quaks")


def test_add_puts_on_top_and_replaces_in_place(registry: Any) -> None:
    """Running a cell twice gives the same map."""
    registry.register("other")
    fused_map = FusedMap("quakes")

    fused_map.add("other")
    fused_map.add(TileLayer("quakes", opacity=0.5))

    assert [(layer.name, layer.opacity) for layer in fused_map.layers] == [("quakes", 0.5), ("other", 1.0)]


def test_remove_takes_a_layer_off(registry: Any) -> None:
    """A layer that is not there is an error that names those that are."""
    fused_map = FusedMap("quakes")

    with pytest.raises(ArgumentError, match="it has quakes"):
        fused_map.remove("quaks")
    fused_map.remove("quakes")

    assert fused_map.layers == []
    assert fused_map.controls == []


def test_two_layers_of_one_name_are_refused(registry: Any) -> None:
    """Names tell layers apart."""
    with pytest.raises(ArgumentError, match="two layers are called 'quakes'"):
        FusedMap("quakes", "quakes")


def test_a_misspelt_keyword_is_named(registry: Any) -> None:
    """The error proposes what was meant."""
    with pytest.raises(TypeError, match=r"'heigth': did you mean 'height'"):
        FusedMap("quakes", heigth=3)
    with pytest.raises(TypeError, match="check the spelling"):
        FusedMap("quakes", qqq=3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bounds", [0, 10, 1, 5], "south 10.0 is above north 5.0"),
        ("bounds", [0, 10, 1], "got 3 numbers"),
        ("center", (52.4, 104.9), "longitude comes first"),
        ("center", "here", "need longitude, latitude"),
        ("height", "tall", "need pixels or a CSS length"),
        ("params", [1], "need a dict"),
        ("params", {"a": float("nan")}, "no finite number"),
        ("params", {"a": object()}, "a is a object"),
        ("server_url", "http://h/?token=1", "without login or token"),
    ],
)
def test_values_that_do_not_fit_are_refused(registry: Any, name: str, value: Any, message: str) -> None:
    """Early, and with what would fit; at the start and later."""
    with pytest.raises(ArgumentError, match=message):
        FusedMap("quakes", **{name: value})
    fused_map = FusedMap("quakes")
    with pytest.raises(ArgumentError, match=message):
        setattr(fused_map, name, value)


def test_bounds_start_at_the_default_of_the_udf(registry: Any, parameter: Any) -> None:
    """A literal default of the spatial parameter is where its data is; an explicit place wins."""
    registry.register("local", parameter(name="bounds", is_spatial=True, default=[4, 52, 5, 53]))

    assert FusedMap("quakes", "local").bounds == [4, 52, 5, 53]
    assert FusedMap("local", bounds=(0, 0, 1, 1)).bounds == [0, 0, 1, 1]
    assert FusedMap("local", center=(0, 0)).bounds is None
    assert FusedMap("quakes").bounds is None


def test_fit_bounds_is_sent_even_when_it_is_the_same_again(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user may have moved since; then no trait changes, and a message goes out."""
    fused_map = FusedMap("quakes")
    sent: list[Any] = []
    monkeypatch.setattr(FusedMap, "send", lambda _self, content, buffers=None: sent.append((content, buffers)))

    fused_map.fit_bounds((1, 2, 3, 4))
    assert sent == []
    fused_map.fit_bounds((1, 2, 3, 4))

    assert sent == [({"kind": "fit"}, None)]
    assert fused_map.bounds == [1, 2, 3, 4]


def test_the_maps_code_is_sent_when_the_page_asks(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one binary buffer; messages that nobody knows are not answered."""
    fused_map = FusedMap("quakes")
    sent: list[Any] = []
    monkeypatch.setattr(FusedMap, "send", lambda _self, content, buffers=None: sent.append((content, buffers)))

    fused_map._handle_custom_msg({"kind": "request", "request": "a-1", "path": "fused/static/map.js"}, [])
    fused_map._handle_custom_msg({"kind": "unheard of"}, [])

    ((content, (code,)),) = sent
    assert (content["kind"], content["request"], content["status"]) == ("answer", "a-1", 200)
    assert b"maplibre" in code


def test_the_panel_can_be_left_out(registry: Any) -> None:
    """`controls=False` stays so when the cell runs again."""
    fused_map = FusedMap("quakes", controls=False)

    registry.register("quakes", digest="2")

    assert fused_map.controls == []


def test_a_parameter_that_every_layer_sets_itself_has_no_control(registry: Any) -> None:
    """A slider that moves nothing would mislead."""
    assert FusedMap(TileLayer("quakes", params={"min_mag": 6})).controls == []


def test_the_page_writes_what_users_only_read(registry: Any) -> None:
    """The page's state arrives; a user's assignment is an error."""
    fused_map = FusedMap("quakes")

    fused_map.set_state({"idle": True, "transport": "HTTP via /", "view_state": {"zoom": 3}})

    assert (fused_map.idle, fused_map.transport, fused_map.view_state) == (True, "HTTP via /", {"zoom": 3})
    with pytest.raises(Exception, match="read-only"):
        fused_map.idle = False


def test_registrations_in_many_threads_lose_no_layer(registry: Any) -> None:
    """UDFs may be registered in any thread while layers come and go."""
    names = [f"udf{i}" for i in range(8)]
    for name in names:
        registry.register(name)
    fused_map = FusedMap("quakes")

    def work(name: str) -> None:
        fused_map.add(name)
        for digest in range(20):
            registry.register(name, digest=str(digest))

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {layer.name for layer in fused_map.layers} == {"quakes", *names}
    assert {layer.version for layer in fused_map.layers if layer.name != "quakes"} == {"19"}


def test_a_closed_map_follows_nothing_and_is_collected(registry: Any) -> None:
    """The registry keeps no map alive."""
    fused_map = FusedMap("quakes")
    reference = weakref.ref(fused_map)

    fused_map.close()
    assert registry.listeners == []
    del fused_map
    gc.collect()

    assert reference() is None


def test_the_fallback_is_one_line(registry: Any) -> None:
    """Where no widget can be shown, the text says what it would be."""
    bundle = FusedMap("quakes")._repr_mimebundle_()

    assert bundle is not None
    assert bundle[0]["text/plain"] == "FusedMap(layers=['quakes'])"


def test_no_trait_holds_a_secret(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Widget state is saved into notebooks."""
    monkeypatch.setenv("JUPYTER_TOKEN", "hush-hush")
    state = {name: value for name, value in FusedMap("quakes").get_state().items() if name != "_esm"}

    assert "hush-hush" not in str(state)
    assert not [name for name in state if "token" in name or "secret" in name]
