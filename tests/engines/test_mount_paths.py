from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fused_jupyter import _alias
from fused_jupyter.engines import WORKER_VARIABLE
from fused_jupyter.engines.execute import call
from fused_jupyter.engines.places import is_measured
from fused_jupyter.errors import UdfRuntimeError
from fused_jupyter.runtime import _runtime
from fused_jupyter.storage import mount as mount_module
from fused_jupyter.udfs import HeaderModule, UdfDefinition

if TYPE_CHECKING:
    from conftest import Workshop

Define = Callable[..., UdfDefinition]


@pytest.fixture(autouse=True)
def mount(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A mount directory that is not there yet, and what a UDF finds in a worker."""
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(_runtime, "_current", None)
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", str(tmp_path / "mount"))
    _alias.install()
    yield tmp_path / "mount"
    _alias.uninstall()


def gives(definition: UdfDefinition, **arguments: Any) -> Any:
    return call(definition, arguments).value


def test_directory_can_be_listed_at_once(definition: Define, mount: Path) -> None:
    """As if it had always been there."""
    udf = definition("import os\n@fused.udf\ndef f(): return os.listdir('/mnt/cache/'), os.listdir('/mount')")

    assert gives(udf) == ([], [])
    assert mount.stat().st_mode & 0o777 == 0o700


def test_file_that_one_udf_writes_another_reads(definition: Define, mount: Path) -> None:
    """Under either name; this is how Fused's documentation keeps its `.env`."""
    writer = definition("""
        @fused.udf
        def f(text: str):
            env_file_path = '/mnt/cache/.env'
            with open(env_file_path, 'w') as file:
                file.write(text)
    """)
    reader = definition(
        "from pathlib import Path\n@fused.udf\ndef g(name='.env'): return Path(f'/mount/{name}').read_text()"
    )

    gives(writer, text="MY_ENV_VAR=123")

    assert gives(reader) == "MY_ENV_VAR=123"
    assert (mount / ".env").read_text() == "MY_ENV_VAR=123"


EXPRESSIONS = {
    "'/mnt/cache'": "{}",
    "'/mnt/' 'cache/a'": "{}/a",
    "f'/mount/{n}'": "{}/1",
    "f'/mount{n}'": "{}1",
    "f'file:///mnt/cache/{n:03}'": "file://{}/001",
    "f'{n}/mount/a'": "1/mount/a",
    "f'{n} /mount/a'": "1 {}/a",
    "f'{n:/mnt>3}'": ValueError,
    "f\"{'/mount/a'}\"": "{}/a",
    "f\"SELECT '{n}' FROM '/mount/{n}'\"": "SELECT '1' FROM '{}/1'",
    "['/mount/a', ('/mount/b',)]": ["{}/a", ("{}/b",)],
    "{'/mount/a': '/mount/b'}": {"{}/a": "{}/b"},
    "'/mount/a/b'.replace('/mount/a', 's3://x')": "s3://x/b",
    "'/mnt/' + str('cache')": "/mnt/cache",
    "b'/mount/a'": b"/mount/a",
    "'see https://example.com/mount/a'": "see https://example.com/mount/a",
}


def filled(value: Any, mount: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{}", str(mount))
    if isinstance(value, dict):
        return {filled(key, mount): filled(each, mount) for key, each in value.items()}
    return type(value)(filled(each, mount) for each in value) if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS.items(), ids=EXPRESSIONS)
@pytest.mark.parametrize("measured", [False, True], ids=["run", "profile"])
def test_strings_of_the_code_have_the_real_path(
    definition: Define, mount: Path, expression: str, value: Any, measured: bool
) -> None:
    """Where they are one in the source; what is put together while running is as Python makes it."""
    before = is_measured.set(measured)
    try:
        udf = definition(f"@fused.udf\ndef f(n: int = 1): return {expression}")
        if value is ValueError:
            with pytest.raises(UdfRuntimeError, match="Invalid format specifier"):
                gives(udf)
        else:
            assert gives(udf) == filled(value, mount)
    finally:
        is_measured.reset(before)


def test_code_around_the_udf_is_seen(definition: Define, mount: Path) -> None:
    """Constants, helpers, classes, defaults, conditions and patterns."""
    udf = definition("""
        import sys
        ROOT: str = "/mount/root"
        class Paths:
            data = "/mnt/cache/data"
        async def later(path="/mount/later"):
            return path
        def kind(path):
            match path:
                case "/mount/known":
                    return "known"
            return "mounted" if path.startswith(("/mount/", "s3://")) else "other"
        @fused.udf
        def f(path: str = "/mount/default"):
            sys.path.append("/mnt/cache/envs/site-packages")
            return ROOT, Paths.data, later.__defaults__, path, sys.path.pop(), kind(path), kind("/mount/known")
    """)

    root, data, later, path, module, *kinds = gives(udf)

    assert (root, data, later) == (f"{mount}/root", f"{mount}/data", (f"{mount}/later",))
    assert (path, module) == (f"{mount}/default", f"{mount}/envs/site-packages")
    assert kinds == ["mounted", "known"]


def test_header_modules_are_seen(definition: Define, mount: Path) -> None:
    """They belong to the UDF."""
    header = HeaderModule(module_name="paths", source="'''About /mount/a.'''\nROOT = '/mount/a'")
    udf = definition("@fused.udf\ndef f():\n    import paths\n    return paths.ROOT, paths.__doc__", headers=[header])

    assert gives(udf) == (f"{mount}/a", "About /mount/a.")


def test_docstrings_stay(definition: Define, mount: Path) -> None:
    """They are for readers."""
    udf = definition('''
        """/mount/module"""
        class A:
            """/mount/class"""
        @fused.udf
        def f():
            """/mount/function"""
            return __doc__, A.__doc__, f.__doc__, '/mount/a'
    ''')

    assert gives(udf) == ("/mount/module", "/mount/class", "/mount/function", f"{mount}/a")


def test_digest_and_source_stay(definition: Define, mount: Path) -> None:
    """The definition is what was written, whatever the machine."""
    udf = definition("@fused.udf\ndef f(): return '/mount/a'")
    digest = udf.digest

    gives(udf)

    assert udf.digest == digest
    assert udf.source == "@fused.udf\ndef f(): return '/mount/a'"
    assert linecache.getline(udf.filename, 2).rstrip("\n") == "def f(): return '/mount/a'"


def test_lines_and_columns_stay(definition: Define, mount: Path) -> None:
    """An error shows the source as written; its message has the real path."""
    udf = definition("@fused.udf\ndef f():\n    a = '/mount/a'\n    return open('/mount/none'), a")

    with pytest.raises(UdfRuntimeError) as caught:
        gives(udf)

    assert caught.value.line == 4
    assert f"'{mount}/none'" in caught.value.message
    assert "return open('/mount/none'), a\n           ^^^^^^^^^^^^^^^^^^^" in (caught.value.traceback or "")


ARGUMENTS = {
    "str": ("/mount/a", "{}/a"),
    "str | None": ("/mnt/cache/a", "{}/a"),
    "": ("file:///mnt/cache/a", "file://{}/a"),
    "list[str]": ('["/mount/a", "b", "/mounted"]', ["{}/a", "b", "/mounted"]),
    "dict": ('{"path": "/mount/a", "more": ["/mount/b"]}', {"path": "{}/a", "more": ["{}/b"]}),
    "Literal['/mount/a', '/mount/b']": ("/mount/a", "{}/a"),
    "'Literal[\"/mount/a\"]'": ("/mount/a", "{}/a"),
}


@pytest.mark.parametrize(("annotation", "case"), ARGUMENTS.items(), ids=ARGUMENTS)
def test_arguments_have_the_real_path(definition: Define, mount: Path, annotation: str, case: tuple[str, Any]) -> None:
    """So that they are what the code compares them with."""
    text, value = case
    udf = definition(f"@fused.udf\ndef f(a{annotation and ': ' + annotation}): return a")

    assert gives(udf, a=text) == filled(value, mount)
    assert mount.is_dir()


def test_path_arguments_have_the_real_path(definition: Define, mount: Path) -> None:
    """Of their own kind."""
    udf = definition("@fused.udf\ndef f(a: Path, **more): return a, more")

    assert gives(udf, a="/mount/a", b="/mount/b") == (mount / "a", {"b": f"{mount}/b"})


def test_other_arguments_are_the_same_objects(definition: Define, mount: Path) -> None:
    """Nothing is copied that needs no change; text that only mentions the mount is data."""
    udf = definition("@fused.udf\ndef f(a): return a")
    values: list[Any] = [[1, "x"], {"a": ["/data"]}, "see /mount/a"]

    assert all(gives(udf, a=value) is value for value in values)
    assert not mount.exists()


def test_udf_that_does_not_name_it_makes_no_directory(definition: Define, mount: Path) -> None:
    """Nor one that has it in a docstring only."""
    gives(definition("@fused.udf\ndef f(): return 1"))
    gives(definition("@fused.udf\ndef f():\n    '''/mount/a'''"))

    assert not mount.exists()


def test_directory_that_went_away_is_made_again(definition: Define, mount: Path) -> None:
    """A user may throw it away while workers live."""
    udf = definition("import os\n@fused.udf\ndef f(): return os.listdir('/mount')")
    gives(udf)
    mount.rmdir()

    assert gives(udf) == []


def test_another_setting_is_another_path(definition: Define, mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is compiled for it, though the source is the same."""
    udf = definition("@fused.udf\ndef f(): return '/mount/a'")
    assert gives(udf) == f"{mount}/a"
    monkeypatch.setenv("FUSED_MOUNT_DIRECTORY", f"{mount}2")

    assert gives(udf) == f"{mount}2/a"


def test_real_mount_means_itself(
    definition: Define, mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is one to write to, code and arguments stay."""
    (tmp_path / "real").mkdir()
    monkeypatch.setattr(mount_module, "MOUNTS", (str(tmp_path / "real"),))
    udf = definition(f"@fused.udf\ndef f(a): return '/mount/a', '{tmp_path}/real/a', a")

    assert gives(udf, a="/mount/b") == ("/mount/a", f"{tmp_path}/real/a", "/mount/b")


def test_worker_has_the_same_mount(workshop: Workshop) -> None:
    """Real processes: one run writes, another reads, and `fused.file_path` lies beside."""
    writer = """
        import os
        def f():
            with open('/mnt/cache/note', 'w') as file:
                file.write('a')
            with open(fused.file_path('deep/note.txt'), 'w') as file:
                file.write('b')
            return os.getpid()
    """
    reader = "def g(path: Path): return path.read_text(), open('/mount/tmp/deep/note.txt').read()"

    workshop.run(writer)

    assert workshop.run(reader, parameters={"path": "/mount/note"}) == ("a", "b")
