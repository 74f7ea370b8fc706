# The functions are UDFs as users write them.
# ruff: noqa: ANN002, ANN201, ANN202
from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

import fused_jupyter as fused
from fused_jupyter.api.headers import header_modules
from fused_jupyter.errors import ArgumentError, NoServerError, UdfDefinitionError
from fused_jupyter.runtime import current

# The text of these functions is what runs elsewhere.


@fused.udf
def double(n: int = 2, *, more: int = 0):
    """Twice the number <b>& more</b>."""
    return 2 * n + more


@pytest.fixture(autouse=True)
def _registered() -> None:
    current().register(double.definition)


def test_decorated_function_is_a_udf() -> None:
    """With what is known of it."""
    assert isinstance(double, fused.Udf)
    assert (double.name, double.signature) == ("double", "double(n: int = 2, *, more: int = 0)")
    assert double.code.startswith("@fused.udf\ndef double(")
    assert len(double.digest) == 64
    assert [parameter.name for parameter in double.definition.parameters] == ["n", "more"]
    assert repr(double) == "<Udf double(n: int = 2, *, more: int = 0)>"


def test_decorating_registers() -> None:
    """Under its name."""
    assert current().registry.get("double") == double.definition


def test_decorator_takes_a_name_an_age_and_headers(tmp_path: Path) -> None:
    """With literal values, as the text is what runs."""
    header = {"module_name": "factor", "source_code": "FACTOR = 3"}

    def triple(n: int) -> int:
        import factor

        return n * factor.FACTOR

    made = fused.udf(name="thrice", cache_max_age="1h", headers=[header])(triple)

    assert made.name == "thrice"
    assert made.definition.cache_max_age == 3600
    assert made(5) == 15


def test_arguments_for_the_cloud_change_nothing() -> None:
    """A public UDF that names a machine runs here as well."""

    @fused.udf(instance_type="small", disk_size_gb=16, region="us-west-2", engine="remote")
    def big(n: int = 1):
        return n

    assert big(7) == 7


def test_unknown_argument_of_the_decorator_is_python_s_error() -> None:
    """As of every function."""
    with pytest.raises(TypeError, match="nmae"):
        fused.udf(nmae="x")  # type: ignore[call-overload]


def test_call_by_position_and_by_name() -> None:
    """As the function itself would be called."""
    assert [double(), double(4), double(n=5), double("6"), double(1, more=1)] == [4, 8, 10, 12, 3]


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((1, 2), {}, "takes 1 positional arguments, 2 were given"),
        ((1,), {"n": 2}, "got n twice"),
        ((), {"m": 1}, "m: the UDF has no such parameter"),
        (("four",), {}, "n: got 'four'"),
    ],
)
def test_wrong_call_is_named(args: Any, kwargs: Any, says: str) -> None:
    """With the signature or the parameter."""
    with pytest.raises(ArgumentError, match=says):
        double(*args, **kwargs)


def test_object_keeps_its_version() -> None:
    """Defining the name again makes another UDF; this one gives what it gave."""

    def version(text: str) -> fused.Udf:
        namespace: dict[str, Any] = {}
        source = f"def again(): return {text}"
        import linecache

        linecache.cache[f"<{text}>"] = (len(source), None, [source], f"<{text}>")
        exec(compile(source, f"<{text}>", "exec"), namespace)
        return fused.udf(namespace["again"])

    one, two = version("1"), version("2")

    assert (one(), two(), fused.run("again")) == (1, 2, 2)


def test_own_decorators_below_are_kept() -> None:
    """They belong to the function; what they need must stand in the source."""

    @fused.udf
    @functools.lru_cache
    def cached(n: int):
        import functools  # noqa: F401

        return n

    assert cached.name == "cached"


@pytest.mark.parametrize("function", [len, functools.partial(print), 7])
def test_what_has_no_source_is_refused(function: Any) -> None:
    """The message says what a UDF is."""
    with pytest.raises(UdfDefinitionError, match="a UDF is a function written in a notebook cell or a file"):
        fused.udf(function)


def test_mistake_registers_nothing() -> None:
    """What was there stays."""
    before = current().registry.all()

    with pytest.raises(UdfDefinitionError):

        @fused.udf
        def starred(*args):
            return args

    assert current().registry.all() == before


def test_headers_are_files_or_text(tmp_path: Path) -> None:
    """A file gives its own name."""
    (tmp_path / "mine.py").write_text("X = 'ü'", encoding="utf-8")

    modules = header_modules([str(tmp_path / "mine.py"), {"module_name": "other", "source_code": "Y = 1"}])

    assert [(module.module_name, module.source) for module in modules] == [("mine", "X = 'ü'"), ("other", "Y = 1")]


def test_header_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With where it was looked for."""
    with pytest.raises(UdfDefinitionError, match=r"header 'nowhere\.py': No such file.*give the path from"):
        header_modules(["nowhere.py"])


@pytest.mark.parametrize("method", ["file_url", "tile_url"])
def test_address_without_a_server_says_what_works(method: str) -> None:
    """Plain Python has no URLs."""
    with pytest.raises(NoServerError, match="calling them and fused.run work.*open the notebook in JupyterLab"):
        getattr(double, method)()


@pytest.fixture
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a Jupyter server with the extension had started this kernel."""
    import orjson

    directory = current().directory
    directory.mkdir(parents=True, exist_ok=True)
    info = {"base_url": "/lab/", "hostname": "localhost", "port": 8888, "secure": False, "token": "t0ken", "pid": 77}
    (directory / "jpserver-77.json").write_bytes(orjson.dumps(info))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setenv("FUSED_JUPYTER_BASE_URL", "/lab/")


@pytest.mark.usefixtures("_server")
def test_addresses_pin_the_kernel() -> None:
    """They carry the arguments as text, and no token."""
    kernel = current().kernel_id

    assert double.file_url("csv", n=3) == f"http://localhost:8888/lab/fused/run/file/double.csv?kernel={kernel}&n=3"
    assert double.tile_url() == f"http://localhost:8888/lab/fused/run/tiles/double/{{z}}/{{x}}/{{y}}?kernel={kernel}"
    assert double.file_url(a=None, b=[1, 2], c="x y", d=True).endswith(f"kernel={kernel}&b=%5B1%2C2%5D&c=x+y&d=true")


@pytest.mark.usefixtures("_server")
def test_card_is_small_and_escaped() -> None:
    """Signature, addresses and what to do next, under 3 kB and without a script."""
    card = double._repr_html_()

    assert len(card.encode()) < 3000
    assert "double(n: int = 2" in card
    assert "/lab/fused/run/file/double?kernel=" in card
    assert "/lab/fused/run/tiles/double/{z}/{x}/{y}" in card
    assert "double.map()" in card
    assert "&lt;b&gt;&amp; more&lt;/b&gt;" in card
    assert "<b>" not in card
    assert "<script" not in card
    assert "t0ken" not in card


def test_card_without_a_server_says_so() -> None:
    """It is shown in every notebook."""
    card = double._repr_html_()

    assert len(card.encode()) < 3000
    assert "no Jupyter server" in card


def test_card_escapes_defaults() -> None:
    """A default value may hold anything."""

    @fused.udf
    def nasty(text: str = "<img src=x onerror=alert(1)>"):
        return text

    assert "<img" not in nasty._repr_html_()
