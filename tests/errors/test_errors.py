from __future__ import annotations

import pickle

import orjson
import pytest

from fused_jupyter import errors
from fused_jupyter.errors import FusedError, UdfRuntimeError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FusedError)]


@pytest.mark.parametrize("kind", KINDS)
def test_error_crosses_the_wire_as_itself(kind: type[FusedError]) -> None:
    """Class, message and details are the same on the other side."""
    error = kind("too much", udf="quakes", parameter="n", line=3, source_line="n = 4", retry_after=2)

    copy = FusedError.from_wire(orjson.loads(orjson.dumps(error.to_wire())))

    assert type(copy) is kind
    assert copy.to_wire() == error.to_wire()


def test_error_of_a_newer_peer_is_a_fused_error() -> None:
    """A class that this version does not know keeps its message."""
    error = FusedError.from_wire({"type": "QuotaError", "error": "no more"})

    assert type(error) is FusedError
    assert error.message == "no more"


def test_fields_that_say_nothing_are_left_out() -> None:
    """A plain error is two fields."""
    assert FusedError("no").to_wire() == {"type": "FusedError", "error": "no"}


def test_half_a_character_is_escaped() -> None:
    """A message that UTF-8 cannot hold still becomes JSON."""
    fields = UdfRuntimeError("\ud800", traceback="at \udfff").to_wire()

    assert orjson.loads(orjson.dumps(fields))["error"] == "\\ud800"


def test_error_is_pickled_with_its_details() -> None:
    """A pool of the user's may send it on."""
    error = pickle.loads(pickle.dumps(UdfRuntimeError("bad", line=4, udf="quakes")))

    assert (error.message, error.line, error.udf) == ("bad", 4, "quakes")


def test_first_name_of_the_udf_stays() -> None:
    """An error of a nested UDF names that one, not its caller."""
    assert FusedError("no", udf="inner").with_udf("outer").udf == "inner"
    assert FusedError("no").with_udf("outer").udf == "outer"


def test_ipython_shows_the_line_of_the_cell() -> None:
    """Without a traceback of the UDF the line stands for it."""
    shown = FusedError("bad", line=3, source_line="x = (")._render_traceback_()

    assert "----> 3 x = (" in shown
    assert shown[-1] == "FusedError: bad"


def test_ipython_shows_the_traceback_of_the_udf() -> None:
    """The UDF's own traceback comes first, the message last."""
    shown = UdfRuntimeError("ValueError: no", traceback="Traceback\n  line\n")._render_traceback_()

    assert shown == ["Traceback\n  line", "", "UdfRuntimeError: ValueError: no"]


def test_ipython_marks_the_line_of_the_udf() -> None:
    """However deep in a library the exception was raised."""
    error = UdfRuntimeError(
        "ValueError: no", udf="quakes", line=7, source_line="    df.sort(x)", traceback="Traceback\n"
    )

    shown = error._render_traceback_()

    assert shown == [
        "Traceback",
        "",
        "quakes, line 7:",
        "----> 7     df.sort(x)",
        "",
        "UdfRuntimeError: ValueError: no",
    ]


def test_tree_in_the_docstring_is_the_tree() -> None:
    """Each class stands in the drawing with its status."""
    drawing = errors.__doc__ or ""

    for kind in KINDS:
        line = next(line for line in drawing.splitlines() if kind.__name__ in line.split())
        assert str(kind.status) in line.split(), kind
