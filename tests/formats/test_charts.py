from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import altair as alt
import lxml.html
import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats import Kind, Wanted, encode, kind_of
from fused_jupyter.formats.charts import chart_html, chart_json, chart_png


def figure() -> Figure:
    drawn = Figure(figsize=(2, 1), dpi=50)
    drawn.subplots().plot([1, 3, 2])
    return drawn


def altair_chart(count: int = 3) -> alt.Chart:
    return alt.Chart(pd.DataFrame({"a": range(count), "b": range(count)})).mark_point().encode(x="a", y="b")


def plotly_chart() -> go.Figure:
    return go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))


def pictures(page: bytes) -> list[str]:
    return [str(source) for source in lxml.html.fromstring(page.decode()).xpath("//img/@src")]


@pytest.mark.parametrize(
    "part", [lambda drawn: drawn, lambda drawn: drawn.axes[0], lambda drawn: drawn.axes[0].lines[0]]
)
def test_any_part_of_a_figure_shows_the_figure(part: Any) -> None:
    """UDFs return the axes that pandas or geopandas gave them; the picture has the figure's own size."""
    value = part(figure())

    assert kind_of(value) is Kind.CHART
    with Image.open(BytesIO(chart_png(value))) as picture:
        assert (picture.format, picture.size) == ("PNG", (100, 50))
    (source,) = pictures(chart_html(value))
    assert source.startswith("data:image/png;base64,")
    assert json.loads(chart_json(value))["image/png"] == source.partition(",")[2]


def test_a_figure_inside_a_figure_shows_the_outer_one() -> None:
    """A subfigure has no size of its own."""
    outer = Figure(figsize=(2, 1), dpi=50)

    with Image.open(BytesIO(chart_png(outer.subfigures(1, 2)[0]))) as picture:
        assert picture.size == (100, 50)


def test_pyplot_is_left_as_it_is() -> None:
    """Drawing for a response changes nothing that the notebook shows next."""
    drawn, _ = plt.subplots()
    before = (mpl.get_backend(), plt.get_fignums(), plt.gcf(), drawn.canvas)
    try:
        chart_png(drawn)

        assert (mpl.get_backend(), plt.get_fignums(), plt.gcf(), drawn.canvas) == before
    finally:
        plt.close(drawn)


def test_a_line_without_a_figure_is_an_error() -> None:
    """There is nothing to draw it on."""
    with pytest.raises(UdfSerializationError, match="in no figure"):
        chart_png(Line2D([], []))


@pytest.mark.parametrize("make", [altair_chart, plotly_chart])
def test_pages_need_no_network(make: Any) -> None:
    """All scripts are inside: who works on one machine may be offline."""
    page = lxml.html.fromstring(chart_html(make()).decode())

    assert page.xpath("//script")
    assert not page.xpath("//script/@src | //link/@href")


def test_altair_without_its_renderer_is_drawn_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the page asks a CDN, and a picture is an error that says what to install."""
    monkeypatch.setattr("fused_jupyter.formats.charts.find_spec", lambda name: None)

    assert lxml.html.fromstring(chart_html(altair_chart()).decode()).xpath("//script/@src")
    with pytest.raises(UdfSerializationError, match="vl-convert-python"):
        chart_png(altair_chart())


def test_altair_draws_more_rows_than_a_notebook_takes() -> None:
    """Its limit of 5000 rows is for notebooks; the user's own setting is as before."""
    before = alt.data_transformers.active, dict(alt.data_transformers.options)

    specification = json.loads(chart_json(altair_chart(6000)))

    (rows,) = specification["datasets"].values()
    assert len(rows) == 6000
    assert (alt.data_transformers.active, dict(alt.data_transformers.options)) == before
    with Image.open(BytesIO(chart_png(altair_chart()))) as picture:
        assert picture.format == "PNG"


def test_plotly_tells_what_its_pictures_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kaleido and Chrome; its specification needs nothing."""

    def fail(self: Any, *args: Any) -> bytes:
        raise ValueError("no kaleido")

    monkeypatch.setattr(go.Figure, "to_image", fail)

    with pytest.raises(UdfSerializationError, match="pip install kaleido"):
        chart_png(plotly_chart())
    assert json.loads(chart_json(plotly_chart()))["data"][0]["type"] == "scatter"


@pytest.mark.parametrize("make", [figure, altair_chart, plotly_chart])
def test_equal_charts_give_equal_pages(make: Any) -> None:
    """No name in them is made up anew, so caches know them."""
    assert chart_html(make()) == chart_html(make())


def test_a_chart_among_other_data_is_its_json() -> None:
    """As it is alone."""
    charts = {"a": altair_chart(), "b": [plotly_chart()], "c": figure()}

    assert [*json.loads(encode(charts, wanted=Wanted(formats=("json",))).body)] == ["a", "b", "c"]


def test_a_chart_is_a_page_unless_one_asks_for_a_picture() -> None:
    """What a browser shows when one opens the link."""
    assert encode(figure(), wanted=Wanted()).format == "html"
