"""What a type checker sees of the public API. Checked by `mypy --strict`, never run."""

import io
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, assert_type

import geopandas
import mercantile
import shapely

import fused_jupyter as fused
from fused_jupyter import RunResult
from fused_jupyter.errors import ArgumentError, FusedError, UdfRuntimeError
from fused_jupyter.udfs import HeaderModule


@fused.udf
def quakes(bounds: fused.types.Bounds, min_mag: float = 4.0) -> Any:
    assert_type(bounds.west, float)
    assert_type(bounds[0], float)
    return bounds


@fused.udf(name="other", cache_max_age="1h", headers=["utils.py", {"module_name": "m", "source_code": ""}])
def named(box: fused.types.Bbox, tile: fused.types.TileXYZ, frame: fused.types.TileGDF) -> Any:
    from_box: shapely.Polygon = box
    from_tile: mercantile.Tile = tile
    from_frame: geopandas.GeoDataFrame = frame
    return from_box, from_tile, from_frame


@fused.udf(default_parameters={"n": 3}, engine="large", use=("model", "table"))
def optional(
    bounds: fused.types.Bounds | None = None,
    tile: fused.types.Tile | None = None,
    view: fused.types.ViewportGDF | None = None,
    n: int = 1,
) -> Any:
    if bounds is not None:
        assert_type(bounds.north, float)
        west, *_ = bounds
        assert_type(west, float)
    return tile, view, n


assert_type(quakes, fused.Udf)
assert_type(optional, fused.Udf)
assert_type(named, fused.Udf)
assert_type(fused.udf(cache_max_age=60), Callable[[Callable[..., Any]], fused.Udf])

assert_type(quakes.name, str)
assert_type(quakes.code, str)
assert_type(quakes.digest, str)
assert_type(quakes.signature, str)
assert_type(quakes.entrypoint, str)
assert_type(quakes.headers, tuple[HeaderModule, ...])
assert_type(quakes.parameters, Mapping[str, Any])
assert_type(quakes.metadata, Mapping[str, Any])
assert_type(quakes.cache_max_age, int | None)
assert_type(quakes.set_parameters({"min_mag": 5}), fused.Udf)
assert_type(quakes.set_parameters({}, replace_parameters=True, inplace=True), fused.Udf)
assert_type(quakes.run_local(min_mag=5), RunResult)
assert_type(quakes.helper(1), Any)
assert_type(quakes.file_url("csv", min_mag=5), str)
assert_type(quakes.tile_url("mvt"), str)
assert_type(quakes(min_mag=5), Any)
assert_type(quakes.map(min_mag=5), fused.FusedMap)
assert_type(fused.FeatureLayer({"type": "Point", "coordinates": [4.9, 52.4]}, style="red"), fused.FeatureLayer)
assert_type(fused.FileLayer("quakes", follow=True), fused.FileLayer)
assert_type(fused.ImageLayer(b"", bounds=(4, 51, 6, 53), colormap="viridis"), fused.ImageLayer)
assert_type(quakes.map([1, 2], min_mag=5), fused.JobPool)
assert_type(quakes.map([1, 2]).results(return_exceptions=True), list[Any])
assert_type(quakes.map([1, 2])[0], fused.Job)
assert_type(fused.load("https://github.com/a/b/tree/main/c").map([1]), fused.JobPool)
assert_type(fused.secrets["a"], str)
assert_type(fused.secrets.a, str)
assert_type(fused.secrets.get("a"), str | None)
assert_type(fused.core.load_udf_from_github("https://github.com/a/b/tree/main/c").name, str)
fused.options.git_mirrors = ["a/b=/c"]
assert_type(quakes.map(controls={"min_mag": fused.Control(0, 10, 0.5, play=True)}), fused.FusedMap)
assert_type(quakes.run_on(quakes.map(), min_mag=5), Any)
assert_type(fused.compare(quakes, "quakes", mode="side by side"), fused.MapComparison)
clicked: Callable[[object], None] = quakes.map().on_click(print)

assert_type(fused.load(quakes), fused.Udf)
assert_type(fused.load(Path("quakes"))(min_mag=5), Any)
assert_type(fused.load("quakes.zip").helper(1), Any)
assert_type(quakes.to_directory(overwrite=True), Path)
quakes.to_file("quakes.zip")
quakes.to_file(io.BytesIO())
assert_type(quakes.register("other"), fused.Udf)

assert_type(quakes.to_fused(overwrite=True, collection_name="earth", create_collection=True), fused.Udf)
assert_type(quakes.collection_name, str)
assert_type(quakes.collection_id, str | None)
quakes.delete_saved()
token = quakes.create_access_token(
    expires="7d", rate="20/s", parameters=("min_mag",), formats=["png"], zooms=(0, 14), live=None
)
assert_type(token, fused.UdfAccessToken)
assert_type(token.token, str)
assert_type(token.limits.rate, float | None)
assert_type(token.get_file_url("csv", min_mag=5), str)
assert_type(token.get_tile_url(), str)
assert_type(token.get_map_url(n=1), str)
assert_type(token.update(enabled=False, rate=5), fused.UdfAccessToken)
assert_type(token.refresh().snippets()["cURL"], str)
assert_type(token.for_udf("quakes").udf_id, str | None)
token.delete()
assert_type(quakes.get_access_tokens()[0], fused.UdfAccessToken)
assert_type(quakes.get_access_token(), fused.UdfAccessToken)
assert_type(quakes.shared_url("csv"), str)
assert_type(quakes.invalidate_cache(1, 2, 3), int)
assert_type(fused.load("quakes", collection_name="earth").map(), fused.FusedMap)
assert_type(fused.load(token).name, str)
assert_type(fused.run(token, x=1, y=2, z=3), Any)
assert_type(fused.run("me", "quakes", min_mag=5), Any)
assert_type(fused.api.get_udfs(5, by="id", whose="team")["earth/quakes"], fused.Udf)
assert_type(fused.api.create_udf_access_token("me", "quakes", client_id=None, rate=5), fused.UdfAccessToken)
assert_type(fused.api.create_collection_access_token("earth", enabled=False), fused.UdfAccessToken)
assert_type(fused.api.get_udf_access_tokens(5)[0], fused.UdfAccessToken)
assert_type(fused.api.FusedAPI().get_udf_access_token(token="fsh_1"), fused.UdfAccessToken)
assert_type(fused.api.FusedAPI().update_udf_access_token(token, enabled=True), fused.UdfAccessToken)
assert_type(fused.api.create_collection("earth").id, str)

assert_type(fused.runs(), list[fused.ActiveRun])
assert_type(fused.runs()[0].run_id, str)
fused.runs()[0].cancel()
fused.cancel("0123456789ab")
assert_type(fused.run(quakes, min_mag=5), Any)
assert_type(fused.run("quakes", x=1, y=2, z=3, cache_max_age="1h"), Any)
assert_type(fused.run(udf=quakes, parameters={"min_mag": 5}, engine="local", cache=False, verbose=False), Any)
assert_type(fused.run(quakes, engine="kernel"), Any)
awaitable = fused.run_async(quakes, min_mag=5)
_ = assert_type(awaitable, Coroutine[Any, Any, Any])
assert_type(fused.run(quakes, min_mag=5, sync=False), Any)

result = fused.run_result(quakes, min_mag=5)
assert_type(result, fused.RunResult)
assert_type(result.data, Any)
assert_type(result.seconds, float)
assert_type(result.peak_memory, int)
assert_type(result.error, FusedError | None)
assert_type(quakes.profile(min_mag=5), fused.Profile)
assert_type(quakes.profile().lines, dict[int, float])


@fused.cache
def length(text: str) -> int:
    return len(text)


@fused.cache(cache_max_age="1h", cache_key_exclude=["log"], reset=True)
async def later(text: str, log: Any = None) -> int:
    return len(text)


assert_type(length("a", cache_reset=True), int)
assert_type(later, Callable[..., Coroutine[Any, Any, int]])
assert_type(fused.cache(len, cache_max_age=60)("a"), int)

assert_type(quakes.delete_cache(), int)
assert_type(fused.clear_cache(functions=True), int)
assert_type(fused.cache_info(), fused.CacheInfo)
assert_type(fused.cache_info().bytes, int)
assert_type(fused.list_cache(quakes, limit=3)[0], fused.CachedResult)

assert_type(fused.download("s3://bucket/a.zip", "data/a.zip", storage="mount"), str)
assert_type(fused.download(Path("a.zip"), Path("b.zip")), str)
assert_type(fused.file_path("data/a.csv", mkdir=False), str)

assert_type(fused.types.Bounds([1, 2, 3, 4]).north, float)
assert_type(fused.types.Bounds.of(1, 2, 3, 4), fused.types.Bounds)

assert_type(fused.Options(workers=4), fused.Options)
assert_type(fused.Options.from_environment({}), fused.Options)

error: FusedError = UdfRuntimeError("no", line=3)
assert_type(error.line, int | None)
assert_type(ArgumentError.status, int)
assert_type(fused.errors.FusedError.from_wire({}), FusedError)
assert_type(fused.set_env(NAME="value", OTHER=None), None)

assert_type(fused.api.list("fd://data/"), list[str])
assert_type(fused.api.list("fd://data/", details=True)[0].size, int | None)
assert_type(fused.api.get("fd://a"), bytes)
assert_type(fused.api.upload(b"1", "fd://a"), None)
assert_type(fused.api.upload(Path("a"), "fd://a", timeout=5), None)
assert_type(fused.api.download("fd://a", Path("a")), None)
assert_type(fused.api.delete("fd://a", max_deletion_depth="unlimited"), bool)
assert_type(fused.api.resolve("fd://a"), str)
assert_type(fused.api.sign_url("fd://a"), str)
assert_type(fused.api.sign_url_prefix("fd://a"), dict[str, str])
assert_type(fused.api.whoami(), dict[str, str | None])
assert_type(fused.api.access_token(), str)
assert_type(fused.api.NotebookCredentials().credentials.access_token, str)

assert_type(fused.core.run_file("me", "quakes", min_mag=5), Any)
assert_type(fused.core.run_shared_tile("fsh_a", x=1, y=2, z=3), Any)
_ = assert_type(fused.core.run_tile_async("me", "quakes", x=1, y=2, z=3), Coroutine[Any, Any, Any])
assert_type(fused.core.load_udf_from_code("def f(): ...").name, str)

assert_type(fused.context.get_headers(), dict[str, str])
assert_type(fused.context.get_header("Origin"), str | None)
assert_type(fused.context.get_share_token(), str | None)
assert_type(fused.context.get_recursion_factor(), int)
assert_type(fused.context.this_udf(), fused.Udf)
