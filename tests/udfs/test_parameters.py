from __future__ import annotations

from typing import Any

import orjson
import pytest

from fused_jupyter.udfs import Parameter, UdfDefinition, parse


def of(signature: str) -> UdfDefinition:
    return parse(f"def f({signature}): pass")


def test_parameters_are_read_in_order() -> None:
    """Kind, annotation and default of each, as they stand in the source."""
    udf = of("a, b: int = 2, *, c: 'float', d=[1], **rest")

    assert udf.parameters == (
        Parameter(name="a", is_spatial=True),
        Parameter(name="b", annotation="int", default=2, default_text="2"),
        Parameter(name="c", annotation="float", kind="keyword"),
        Parameter(name="d", default=[1], default_text="[1]", kind="keyword"),
        Parameter(name="rest", kind="variadic"),
    )
    assert udf.signature == "f(a, b: int = 2, *, c: float, d = [1], **rest)"


@pytest.mark.parametrize(
    ("signature", "spatial"),
    [
        ("bounds", "bounds"),
        ("n: int, bounds: fused.types.Bounds = None", "bounds"),
        ("n: int, bbox=None", "bbox"),
        ("bbox, bounds", "bounds"),
        ("bounds: list", "bounds"),
        ("tile: fused.types.TileXYZ", "tile"),
        ("tile: TileGDF = None", "tile"),
        ("tile: fused.types.Tile | None = None", "tile"),
        ("tile: None | fused.types.Bbox = None", "tile"),
        ("tile: Optional[fused.types.ViewportGDF] = None", "tile"),
        ("tile: typing.Optional[fused.types.Bounds] = None", "tile"),
        ("tile: 'fused.types.Bounds'", "tile"),
        ("n: int, *, bounds: list[float] | None = None", "bounds"),
        ("*, tile: fused.types.TileXYZ", "tile"),
        ("tile: mercantile.Tile", "tile"),
        ("area: gpd.GeoDataFrame = None", "area"),
        ("n: int, area: gpd.GeoDataFrame", None),
        ("area: shapely.Polygon", None),
        ("path: str, *, chip_len=512", None),
        ("area", "area"),
        ("area=None", "area"),
        ("n: int", None),
        ("n=3", None),
        ("n: int, tile: fused.types.Bounds", None),
        ("**rest", None),
        ("", None),
        ("x: int, y: int, z: int", None),
    ],
)
def test_parameter_that_takes_the_tile(signature: str, spatial: str | None) -> None:
    """`bounds`, else `bbox`, else the first one if its annotation says so or it has none."""
    found = of(signature).spatial_parameter

    assert (found.name if found else None) == spatial


INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("str", {"type": "string"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": INTEGER}),
        ("List[int]", {"type": "array", "items": INTEGER}),
        ("typing.List[int]", {"type": "array", "items": INTEGER}),
        ("list[list[str]]", {"type": "array", "items": {"type": "array", "items": STRING}}),
        ("list[Anything]", {"type": "array"}),
        ("set[int]", {"type": "array", "uniqueItems": True, "items": INTEGER}),
        ("tuple[int, ...]", {"type": "array", "items": INTEGER}),
        ("tuple[int, str]", {"type": "array", "prefixItems": [INTEGER, STRING], "minItems": 2, "maxItems": 2}),
        ("dict[str, int]", {"type": "object", "additionalProperties": INTEGER}),
        ("Mapping[str, Any]", {"type": "object"}),
        ("int | None", {"type": ["integer", "null"]}),
        ("None | int", {"type": ["integer", "null"]}),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("typing.Optional[typing.List[int]]", {"type": ["array", "null"], "items": INTEGER}),
        ("Union[str, None]", {"type": ["string", "null"]}),
        ("list[int | None]", {"type": "array", "items": {"type": ["integer", "null"]}}),
        ("int | str", {"anyOf": [INTEGER, STRING]}),
        ("int | float | None", {"anyOf": [INTEGER, NUMBER, {"type": "null"}]}),
        ("int | Anything", {}),
        ("Literal['data', 'chart-url']", {"enum": ["data", "chart-url"]}),
        ("Literal[1, True, None]", {"enum": [1, True, None]}),
        ("Literal['a'] | None", {"enum": ["a", None]}),
        ("Literal[10**30, b'a']", {}),
        ("datetime", {"type": "string", "format": "date-time"}),
        ("datetime.date", {"type": "string", "format": "date"}),
        ("dt.time | None", {"type": ["string", "null"], "format": "time"}),
        ("pd.Timedelta", {"type": "string", "format": "duration"}),
        ("uuid.UUID", {"type": "string", "format": "uuid"}),
        ("bytes", {"type": "string", "contentEncoding": "base64"}),
        ("np.float32", NUMBER),
        ("npt.NDArray[np.uint8]", {"type": "array"}),
        ("Annotated[int, 'metres']", INTEGER),
        ("pd.DataFrame", {"type": "array", "items": {"type": "object"}}),
        ("Optional['int']", {"type": ["integer", "null"]}),
        ("'list[int]'", {"type": "array", "items": INTEGER}),
        ("Any", {}),
        ("None", {}),
        ("'not an annotation'", {}),
    ],
)
def test_annotation_gives_the_schema(annotation: str, schema: dict[str, Any]) -> None:
    """What the text does not tell is left open."""
    assert of(f"*, a: {annotation}").schema()["properties"]["a"] == schema


@pytest.mark.parametrize("annotation", ["shapely.Polygon", "gpd.GeoDataFrame", "BaseGeometry"])
def test_geometry_says_how_to_write_one(annotation: str) -> None:
    """JSON Schema has no word for it."""
    assert "GeoJSON, WKT" in of(f"n: int, a: {annotation}").schema()["properties"]["a"]["description"]


def test_a_member_of_an_enum_is_a_default_that_is_known() -> None:
    """Its value stands for it, as in a request; members whose value nobody can read have none."""
    udf = parse("""
from enum import Enum, auto
class Color(Enum):
    RED = "red"
    LAST = auto()
@fused.udf
def f(a: Color = Color.RED, b: Color = Color.LAST, c: str = other.RED): pass
""")

    assert [parameter.default for parameter in udf.parameters] == ["red", None, None]
    assert udf.schema()["properties"]["a"] == {"enum": ["red", "LAST"], "default": "red"}


def test_enum_of_the_cell_gives_its_values() -> None:
    """Read from the source; other classes of the cell say nothing, whatever they are called."""
    udf = parse("""
from enum import Enum, auto
class Color(Enum):
    RED = "red"
    TWO = 2
    LAST = auto()
class Point:
    RED = "red"
@fused.udf
def f(a: Color, b: Color | None, c: list[Color], d: Point): pass
""")
    values = ["red", 2, "LAST"]

    properties = udf.schema()["properties"]

    assert properties["b"] == {"enum": [*values, None]}
    assert properties["c"] == {"type": "array", "items": {"enum": values}}
    assert properties["d"] == {}
    assert UdfDefinition.from_json(orjson.loads(orjson.dumps(udf.to_json()))).schema() == udf.schema()


def test_schema_of_all_parameters() -> None:
    """A JSON Schema object: defaults shown, what is needed required, the area not."""
    schema = of("bounds, n: int, name: str = 'a', day=None, far=2**3").schema()

    assert schema["type"] == "object"
    assert schema["required"] == ["n"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["name"] == {"type": "string", "default": "a"}
    assert schema["properties"]["day"] == {}
    assert "west,south,east,north" in schema["properties"]["bounds"]["description"]


def test_schema_with_any_more_arguments() -> None:
    """`**rest` takes what has no parameter, and is none itself."""
    schema = of("n=1, **rest").schema()

    assert schema["additionalProperties"] is True
    assert list(schema["properties"]) == ["n"]


def test_parameter_travels_as_json() -> None:
    """All its fields."""
    parameter = Parameter(name="n", annotation="int", default=2, default_text="2")

    assert Parameter(**parameter.to_json()) == parameter
