from __future__ import annotations

import builtins
import pickle
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import call, top_level
from fused_jupyter.errors import UdfRuntimeError
from fused_jupyter.runtime import _runtime
from fused_jupyter.storage import write_folder
from fused_jupyter.udfs import HeaderModule, UdfDefinition

Define = Callable[..., UdfDefinition]


@pytest.fixture(autouse=True)
def _inside_a_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`@fused.udf` and `import fused` in a UDF mean here what they mean in a worker; afterwards all is as before."""
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(Path.cwd())
    _alias.install()
    finders, path = list(sys.meta_path), list(sys.path)
    yield
    assert sys.meta_path == finders
    assert sys.path == path
    assert not {"utils", "more"} & sys.modules.keys()
    _alias.uninstall()


def gives(definition: UdfDefinition, **arguments: Any) -> Any:
    return call(definition, arguments).value


def headers(**sources: str) -> tuple[HeaderModule, ...]:
    return tuple(HeaderModule(module_name=n, source=textwrap.dedent(source)) for n, source in sources.items())


@pytest.fixture
def saved(definition: Define, tmp_path: Path) -> Callable[..., str]:
    """Saves a UDF as a folder that another one can load."""

    def save(source: str, **choices: Any) -> str:
        made = definition(source, **choices)
        return str(write_folder(made, tmp_path / made.name))

    return save


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[str]:
    """The directory of a notebook that has a `utils.py` itself."""
    (tmp_path / "utils.py").write_text("WHO = 'notebook'")
    yield str(tmp_path)
    sys.modules.pop("utils", None)


WAYS = [
    "import utils\ndef f(): return utils.WHO",
    "import utils as u\ndef f(): return u.WHO",
    "from utils import WHO\ndef f(): return WHO",
    "from utils import *\ndef f(): return WHO",
    "def f():\n    import utils\n    return utils.WHO",
    "import importlib\ndef f(): return importlib.import_module('utils').WHO",
    "def f(): return __import__('utils').WHO",
    "def f():\n    exec('import utils as u', names := {})\n    return names['u'].WHO",
    "import utils, sys\ndef f(): return sys.modules['utils'].WHO",
    "import utils, importlib\ndef f(): return importlib.reload(utils).WHO",
    "import importlib.util\ndef f():\n    importlib.util.find_spec('utils')\n    import utils\n    return utils.WHO",
]


@pytest.mark.parametrize("source", WAYS)
def test_every_way_to_import_finds_the_header(definition: Define, beside: str, source: str) -> None:
    """Before a module of that name in the notebook's directory."""
    udf = definition(source, name="f", headers=headers(utils="WHO = 'header'"), directory=beside)

    assert gives(udf) == "header"


def test_one_import_gives_one_module(definition: Define) -> None:
    """By whichever way it comes, also in another header."""
    udf = definition(
        "import importlib, utils, more\ndef f(): return utils is importlib.import_module('utils') is more.utils",
        headers=headers(utils="", more="import utils"),
    )

    assert gives(udf) is True


def test_same_name_is_another_module_for_each_udf(definition: Define, beside: str) -> None:
    """One after the other; whoever brings no header of the name gets the notebook's own module."""
    a, b = (definition(WAYS[0], headers=headers(utils=f"WHO = {who!r}"), directory=beside) for who in "ab")
    plain = definition(WAYS[0], directory=beside)

    assert [gives(udf) for udf in (a, b, plain, a, plain, b)] == ["a", "b", "notebook", "a", "notebook", "b"]


def test_nested_udf_has_its_own(definition: Define, saved: Callable[..., str], beside: str) -> None:
    """It does not see those of its caller, nor does the caller see its, also where it asks only afterwards."""
    inner = saved("import utils\ndef inner(): return utils.WHO", headers=headers(utils="WHO = 'inner'"))
    plain = saved("import utils\ndef plain(): return utils.WHO")
    outer = definition(
        f"""
        import fused, importlib
        def outer():
            first = fused.load({inner!r})(), fused.load({plain!r})()
            import utils
            return *first, utils.WHO, fused.load({inner!r})(), importlib.import_module("utils").WHO
        """,
        headers=headers(utils="WHO = 'outer'"),
        directory=beside,
    )

    assert gives(outer) == ("inner", "notebook", "outer", "inner", "outer")


def test_header_of_the_caller_is_no_module_of_the_callee(definition: Define, saved: Callable[..., str]) -> None:
    """There is none, so it says so."""
    inner = saved("def inner():\n    import utils")
    outer = definition(f"import utils\ndef outer(): return fused.load({inner!r})()", headers=headers(utils=""))

    with pytest.raises(UdfRuntimeError, match="No module named 'utils'") as caught:
        gives(outer)
    assert caught.value.udf == "inner"


def test_calls_from_threads_do_not_mix(definition: Define, saved: Callable[..., str]) -> None:
    """A UDF may call others in a pool of threads; each imports its own header, late, while the others run."""
    paths = [
        saved(
            f"""
            import fused, time
            def inner{n}():
                time.sleep(0.01)
                import utils
                return utils.NUMBER
            """,
            headers=headers(utils=f"import time\ntime.sleep(0.01)\nNUMBER = {n}"),
        )
        for n in range(4)
    ]
    outer = definition(
        f"""
        from concurrent.futures import ThreadPoolExecutor
        import utils
        def outer():
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(lambda path: fused.load(path)(), {paths!r} * 3)), utils.NUMBER
        """,
        headers=headers(utils="NUMBER = 'outer'"),
    )

    assert gives(outer) == ([0, 1, 2, 3] * 3, "outer")


def test_thread_imports_its_own_header_after_the_run(definition: Define) -> None:
    """When another UDF with a header of that name runs in the worker."""
    go, done = threading.Event(), threading.Event()
    found: list[str] = []
    late = definition(
        """
        import threading
        def f(events):
            go, done, found = events
            def later():
                go.wait(10)
                from utils import WHO
                found.append(WHO)
                done.set()
            threading.Thread(target=later).start()
        """,
        headers=headers(utils="WHO = 'late'"),
    )
    other = definition(
        "def g(events):\n    import utils\n    events[0].set()\n    events[1].wait(10)\n    return utils.WHO",
        headers=headers(utils="WHO = 'other'"),
    )

    gives(late, events=(go, done, found))

    assert gives(other, events=(go, done)) == "other"
    assert found == ["late"]


def test_installed_package_of_the_name_stays_whole(definition: Define, tmp_path: Path) -> None:
    """A library that uses a package `utils` finds that one, while the UDF finds its header."""
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "__init__.py").write_text("WHO = 'installed'")
    (tmp_path / "a_library.py").write_text("import utils\ndef who(): return utils.WHO")
    library = definition("import a_library\ndef f(): return a_library.who()")
    udf = definition(
        "import utils, a_library\ndef f(): return utils.WHO, a_library.who()", headers=headers(utils="WHO = 'header'")
    )

    sys.path.insert(0, str(tmp_path))
    try:
        assert gives(library) == "installed"
        assert gives(udf) == ("header", "installed")
        assert sys.modules["utils"].WHO == "installed"
    finally:
        sys.path.remove(str(tmp_path))
        for name in ("utils", "a_library"):
            sys.modules.pop(name, None)


def test_module_of_the_name_is_imported_once(definition: Define, saved: Callable[..., str], beside: str) -> None:
    """By all the UDFs that have no header of the name, whoever calls them."""
    plain = saved("import utils\ndef plain():\n    utils.WHO += '!'\n    return utils.WHO")
    outer = definition(
        f"import utils\ndef outer(): return fused.load({plain!r})(), fused.load({plain!r})(), utils.WHO",
        headers=headers(utils="WHO = 'header'"),
        directory=beside,
    )

    assert gives(outer) == ("notebook!", "notebook!!", "header")
    assert sys.modules["utils"].WHO == "notebook!!"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_of_header_classes_can_be_pickled(definition: Define, protocol: int) -> None:
    """Inside the UDF, also after it has called another one."""
    udf = definition(
        """
        import pickle
        from utils import Point
        def f(protocol: int):
            @fused.udf
            def other(): return 1
            assert other() == 1
            point = pickle.loads(pickle.dumps(Point(3), protocol))
            return type(point) is Point, point.x
        """,
        headers=headers(
            utils="""
            from __future__ import annotations
            from dataclasses import KW_ONLY, dataclass, fields
            @dataclass
            class Point:
                x: int
                _: KW_ONLY
                y: int = 2
            assert [field.kw_only for field in fields(Point)] == [False, True]
            """
        ),
    )

    assert gives(udf, protocol=protocol) == (True, 3)


def test_headers_may_import_one_another_in_a_circle(definition: Define) -> None:
    """As modules may."""
    udf = definition(
        "import utils\ndef f(): return utils.of_more() + utils.A",
        headers=headers(
            utils="import more\nA = 1\ndef of_more(): return more.B", more="import utils\nB = 2\nassert utils"
        ),
    )

    assert gives(udf) == 3


def test_header_has_fused(definition: Define) -> None:
    """In both ways, and may define UDFs."""
    udf = definition(
        "import utils\ndef f(): return utils.three()",
        headers=headers(
            utils="""
            from fused.types import Bounds
            @fused.udf
            def three(n: int = 3): return n
            assert Bounds is fused.types.Bounds
            """
        ),
    )

    assert gives(udf) == 3


def test_header_that_fails_is_tried_again(definition: Define) -> None:
    """As Python does: what failed is no module."""
    udf = definition(
        """
        import sys
        def f():
            try:
                import utils
            except ZeroDivisionError:
                sys.ready = True
            import utils
            return utils.X
        """,
        headers=headers(utils="import sys\nif not hasattr(sys, 'ready'): 1 / 0\nX = 5"),
    )

    try:
        assert gives(udf) == 5
    finally:
        del sys.ready  # type: ignore[attr-defined]


def failure(udf: UdfDefinition) -> UdfRuntimeError:
    with pytest.raises(UdfRuntimeError) as caught:
        gives(udf)
    return caught.value


def test_traceback_goes_from_the_import_to_the_line_of_the_header(definition: Define) -> None:
    """With the text of both, and nothing of ours between."""
    error = failure(
        definition("def f():\n    import utils\n    return 1", headers=headers(utils="import more", more="\nX = 1 / 0"))
    )

    lines = [line.strip() for line in (error.traceback or "").splitlines() if not set(line) <= set(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        'File "<udf f>", line 2, in f', "import utils",
        'File "<udf f utils.py>", line 1, in <module>', "import more",
        'File "<udf f more.py>", line 2, in <module>', "X = 1 / 0",
        "ZeroDivisionError: division by zero",
    ]  # fmt: skip


def test_traceback_shows_the_own_lines_after_a_namesake_ran(definition: Define, saved: Callable[..., str]) -> None:
    """UDFs that are loaded are often all called `udf`."""
    inner = saved(
        "import utils\ndef udf():\n    return utils.give()", headers=headers(utils="def give():\n    return 1")
    )
    outer = definition(
        f"import utils\ndef udf():\n    return utils.fail(fused.load({inner!r})())",
        headers=headers(utils="def fail(n):\n    raise ValueError(n)"),
    )

    error = failure(outer)

    assert (error.line, error.source_line) == (3, f"    return utils.fail(fused.load({inner!r})())")
    assert "raise ValueError(n)" in (error.traceback or "")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("import utils.sub", "No module named 'utils.sub': a header module is not a package"),
        ("from utils import nothing", "cannot import name 'nothing' from 'utils'"),
        ("import utils; utils.nothing", "module 'utils' has no attribute 'nothing'"),
        ("import no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_wrong_import_is_python_s_error(definition: Define, statement: str, says: str) -> None:
    """At the line of the import, with no frame of ours."""
    error = failure(definition(f"def f():\n    {statement}", headers=headers(utils="")))

    assert re.search(says, error.message)
    assert error.line == 2
    assert "headers.py" not in (error.traceback or "")


def test_only_its_code_has_another_import(definition: Define) -> None:
    """Builtins are those of Python, and stay so."""
    before = builtins.__import__
    udf = definition(
        "import builtins, utils\ndef f(): return builtins.__import__, print is builtins.print, len('abc')",
        headers=headers(utils=""),
    )

    assert gives(udf) == (before, True, 3)
    assert builtins.__import__ is before


def test_udf_that_calls_itself_keeps_its_module(definition: Define, saved: Callable[..., str]) -> None:
    """Pickle finds its classes after the inner call as well."""
    path = saved(
        """
        import pickle
        class Mark: pass
        def f(path: str, depth: int = 1):
            if depth:
                fused.load(path)(path=path, depth=0)
            return type(pickle.loads(pickle.dumps(Mark()))) is Mark
        """,
        name="f",
    )

    assert gives(definition("def g(path: str): return fused.load(path)(path=path)"), path=path) is True


# -- what the code defines, without a call


def test_top_level_gives_helpers_and_headers(definition: Define, beside: str) -> None:
    """They find their modules also later; a header that nobody asks for does not run."""
    module = top_level(
        definition(
            "X = 1\ndef helper():\n    import utils\n    return utils.WHO\n@fused.udf\ndef f(): return 2",
            headers=headers(utils="WHO = 'header'", more="1 / 0"),
            directory=beside,
        )
    )

    assert (module.X, module.helper(), module.utils.WHO, module.f()) == (1, "header", "header", 2)
    with pytest.raises(AttributeError, match="the UDF f defines no 'nothing'"):
        module.nothing  # noqa: B018
    with pytest.raises(UdfRuntimeError, match="ZeroDivisionError"):
        module.more  # noqa: B018
