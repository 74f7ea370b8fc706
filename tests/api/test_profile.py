# The functions are UDFs as users write them.
# ruff: noqa: ANN202
from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

import fused_jupyter as fused
from fused_jupyter.errors import ArgumentError, UdfRuntimeError
from fused_jupyter.udfs import Choices, HeaderModule, parse

UTILS = "import time\n\ndef nap(seconds):\n    time.sleep(seconds)\n"
SOURCE = """
import time, utils

def own(n):
    total = 0
    for i in range(n):
        total += i * i
    return total

@fused.udf
def slow(seconds: float = 0.2, n: int = 400_000, bounds: fused.types.TileXYZ = None):
    print("<b>", bounds and bounds.z)
    quick = "<i>" * 2
    time.sleep(seconds)
    utils.nap(seconds / 2)
    return own(n), quick
"""
SLEEP, NAP, CALL, LOOP = 14, 15, 16, (6, 7)


@pytest.fixture(scope="module")
def slow() -> fused.Udf:
    header = HeaderModule(module_name="utils", source=UTILS)
    return fused.Udf(parse(SOURCE, Choices(headers=(header,))))


def test_time_stands_beside_the_lines_that_took_it(slow: fused.Udf) -> None:
    """Of the cell, of its helpers and of its header modules."""
    profile = slow.profile(0.3)

    assert isinstance(profile, fused.Profile)
    assert profile.data == (sum(i * i for i in range(400_000)), "<i><i>")
    assert profile.seconds >= 0.45
    assert profile.stdout == "<b> None\n"
    assert max(profile.lines, key=profile.lines.__getitem__) == SLEEP
    assert profile.lines[SLEEP] == pytest.approx(0.3, rel=0.3)
    assert profile.lines[NAP] == pytest.approx(profile.modules["utils"][4], rel=0.2)
    assert profile.lines[CALL] == pytest.approx(sum(profile.lines.get(line, 0) for line in LOOP), rel=0.4)
    assert profile.memory.keys() == profile.lines.keys()


def test_each_profile_is_a_run(slow: fused.Udf) -> None:
    """Nothing is taken from the cache, and nothing kept; a tile, and the UDF's error, are as elsewhere."""

    @fused.udf(cache_max_age="1h")
    def now(fail: bool = False):
        import time

        return 1 / 0 if fail else time.time()

    kept = now()

    assert now.profile().data != now.profile().data
    assert now() == kept
    assert slow.profile(x=1, y=1, z=1, seconds=0.01).stdout == "<b> 1\n"
    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError"):
        now.profile(fail=True)
    with pytest.raises(ArgumentError, match="secs"):
        slow.profile(secs=1)


def test_udf_may_be_measured_inside_another() -> None:
    """In the same process; the outer one's lines are not mixed in."""

    @fused.udf
    def outer():
        import fused

        @fused.udf
        def inner():
            import time

            time.sleep(0.1)
            return 5

        profile = inner.profile()
        return profile.data, profile.lines

    data, lines = outer()

    assert data == 5
    assert max(lines, key=lines.__getitem__) == 5


# -- how it looks


def profile_of(slow: fused.Udf, source: str | None = None, **measured: dict[int, tuple[float, int]]) -> fused.Profile:
    udf = slow if source is None else fused.Udf(parse(source))
    return fused.Profile(
        udf=udf, data=None, seconds=2.0, peak_memory=5_000_000, measured={"": measured.pop("cell"), **measured}
    )


def test_repr_is_the_source_with_figures(slow: fused.Udf) -> None:
    """Numbered as the editor numbers it; lines that took no time have none."""
    profile = profile_of(slow, cell={14: (1.5, 0), 16: (0.004, -3_000_000)}, utils={4: (0.5, 70_000_000)})
    text = repr(profile).split("\n")

    assert text[0] == "slow: 2.0 s · 5.0 MB of memory"
    assert text[13] == f'  13{"":30}    quick = "<i>" * 2'
    assert text[14] == f"  14   1.5 s ████████{'':13}    time.sleep(seconds)"
    assert text[16] == f"  16  4.0 ms{'':12} -3.0 MB      return own(n), quick"
    assert text[-5] == "-- utils.py"
    assert text[-1] == f"   4  500 ms ██{'':9}  +70 MB      time.sleep(seconds)"


def test_page_is_the_source_with_heat(slow: fused.Udf) -> None:
    """As text, whatever is in it, and the hotter the longer."""
    page = profile_of(slow, cell={14: (1.5, 0), 16: (0.5, 0)})._repr_html_()
    seen: list[str] = []

    class Text(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.append(tag)

    Text().feed(page)

    assert set(seen) == {"div", "code", "span", "pre"}
    assert "&lt;i&gt;" in page
    assert re.findall(r"\.35\) (\d+)%", page) == ["75", "25"]
    assert "utils.py" not in page
    assert len(page) < 4000


def test_of_a_long_source_the_measured_lines_are_shown(slow: fused.Udf) -> None:
    """And those around them; the rest is left out."""
    source = "def f():\n" + "".join(f"    a{n} = {n}\n" for n in range(2, 400))
    text = repr(profile_of(slow, source, cell={100: (1.0, 0), 300: (0.5, 0)})).split("\n")

    numbers = [line.split()[0] for line in text[1:]]
    assert numbers == ["⋮", "98", "99", "100", "101", "102", "⋮", "298", "299", "300", "301", "302", "⋮"]
