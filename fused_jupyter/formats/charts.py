"""Charts of matplotlib, Altair and Plotly as pages, pictures and specifications.

========== ======================================== ================ =====================
library    page                                     picture          JSON
========== ======================================== ================ =====================
matplotlib the picture                              its Agg renderer ``{"image/png": …}``
Altair     Vega-Lite, from a CDN without vl-convert vl-convert       Vega-Lite
Plotly     plotly.js inside, which takes 4.5 MB     kaleido          Plotly's own
========== ======================================== ================ =====================

A page of Plotly's holds all that it needs, for who works on one machine may have no network; so does one of Altair's
where ``vl-convert-python`` is installed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final

from fused_jupyter.errors import UdfSerializationError
from fused_jupyter.formats.kinds import type_name


def chart_html(value: Any) -> bytes:
    """The chart as a page of its own."""
    return _library(value).html(value).encode()


def chart_png(value: Any) -> bytes:
    """The chart as a PNG picture of its own size.

    Raises:
        UdfSerializationError: the library cannot draw without a package or browser that is not there.
    """
    return _library(value).png(value)


def chart_json(value: Any) -> bytes:
    """The specification from which JavaScript draws the chart; matplotlib has none, so its picture, as notebooks do."""
    return _library(value).json(value).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    html: Callable[[Any], str]
    png: Callable[[Any], bytes]
    json: Callable[[Any], str]


def _library(chart: Any) -> _Library:
    packages = (base.__module__.partition(".")[0] for base in type(chart).__mro__)
    return next(_LIBRARIES[package] for package in packages if package in _LIBRARIES)


def _matplotlib_html(chart: Any) -> str:
    picture = b64encode(_matplotlib_png(chart)).decode()
    image = f'<img alt="chart" src="data:image/png;base64,{picture}">'
    return f'<!doctype html><html><body style="margin:0">{image}</body></html>'


def _matplotlib_png(chart: Any) -> bytes:
    figure = chart.figure
    while figure is not None and figure.figure is not figure:  # a figure inside a figure
        figure = figure.figure
    if figure is None:
        raise UdfSerializationError(f"The UDF returned {type_name(chart)} that is in no figure; return the figure")
    sink = BytesIO()
    # savefig draws on a canvas of its own and puts the figure's back: what pyplot shows in a notebook stays as it is.
    figure.savefig(sink, format="png")
    return sink.getvalue()


def _matplotlib_json(chart: Any) -> str:
    return f'{{"image/png":"{b64encode(_matplotlib_png(chart)).decode()}"}}'


def _altair_html(chart: Any) -> str:
    with _all_rows():
        return str(chart.to_html(inline=find_spec("vl_convert") is not None))


def _altair_png(chart: Any) -> bytes:
    if find_spec("vl_convert") is None:
        raise UdfSerializationError(
            "The UDF returned a chart of Altair, which is drawn in the browser; for a picture of it, pip install"
            " vl-convert-python, or ask for html"
        )
    sink = BytesIO()
    with _all_rows():
        chart.save(sink, format="png")
    return sink.getvalue()


def _altair_json(chart: Any) -> str:
    with _all_rows():
        return str(chart.to_json(indent=None))


def _all_rows() -> Any:
    """Altair refuses more than 5000 rows, to keep notebooks small; a response may be larger."""
    import altair as alt

    return alt.data_transformers.enable("default", max_rows=None)


def _plotly_html(chart: Any) -> str:
    # With a name of its own, the page is the same each time, and caches know it.
    return str(chart.to_html(include_plotlyjs=True, div_id="chart"))


def _plotly_png(chart: Any) -> bytes:
    try:
        return bytes(chart.to_image("png"))
    except (ValueError, RuntimeError, OSError) as exc:  # kaleido is missing, or the browser that it drives
        raise UdfSerializationError(
            "The UDF returned a chart of Plotly, which is drawn in the browser; for a picture of it, pip install"
            f" kaleido (it needs Chrome), or ask for html: {exc}"
        ) from exc


def _plotly_json(chart: Any) -> str:
    return str(chart.to_json())


_LIBRARIES: Final = {
    "matplotlib": _Library(html=_matplotlib_html, png=_matplotlib_png, json=_matplotlib_json),
    "altair": _Library(html=_altair_html, png=_altair_png, json=_altair_json),
    "plotly": _Library(html=_plotly_html, png=_plotly_png, json=_plotly_json),
}
"""Top package of the chart's class → how it is written."""
