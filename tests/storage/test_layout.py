from __future__ import annotations

import ast
import json
import keyword
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fused_jupyter.errors import ArgumentError, UdfDefinitionError
from fused_jupyter.storage import (
    Folder,
    definition_of,
    definition_of_code,
    definition_of_file,
    read_archive,
    write_archive,
    write_folder,
)
from fused_jupyter.udfs import Choices, HeaderModule, UdfDefinition, parse

MakeFolder = Callable[..., Path]

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,63}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63)  # what travels has no longer ones
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PLACEMENT = {"engine": TEXTS, "instance_type": TEXTS, "region": TEXTS, "disk_size_gb": st.integers(1, 999)}


@st.composite
def sources(draw: st.DrawFn, entrypoint: str) -> str:
    """A function among comments, with whatever line ends, indents and blanks an editor leaves."""
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    indent = draw(st.sampled_from(["    ", "\t", " ", "\t  "]))
    comments = st.lists(TEXTS.map(lambda text: f"#{text}") | st.sampled_from(["", "  ", "\t", "\x0c"]), max_size=3)
    decorator = draw(st.sampled_from(["@fused.udf", "@fused.udf(  )", '@udf(name="x",\n  cache_max_age="2h")']))
    lines = [
        *draw(comments),
        *decorator.split("\n"),
        f"def {entrypoint}(n:int=2 , *,text = {draw(TEXTS)!r}):{draw(st.sampled_from(['', ' ', '  # why']))}",
        *[f"{indent}{line}".rstrip(" ") for line in draw(comments)],
        f"{indent}return  n,text",
        *draw(comments),
    ]
    return newline.join(lines) + draw(st.sampled_from(["", newline, newline * 3, " "]))


@st.composite
def definitions(draw: st.DrawFn) -> UdfDefinition:
    """Any UDF; its header modules may have its own name, and names that differ in case only."""
    entrypoint = draw(NAMES)
    modules = draw(st.dictionaries(NAMES | st.sampled_from(["utils", "Utils", "größe", "meta", entrypoint]), TEXTS))
    choices = Choices(
        name=draw(NAMES),
        headers=tuple(HeaderModule(module_name=name, source=f"#{text}\r\nX=1 ") for name, text in modules.items()),
        cache_max_age=draw(st.none() | st.integers(0, 10**9)),
        default_parameters=draw(st.none() | st.fixed_dictionaries({}, optional={"n": NUMBERS, "text": JSON})),
        placement=draw(st.none() | st.fixed_dictionaries({}, optional=PLACEMENT)),
    )
    metadata = draw(st.dictionaries(TEXTS, JSON, max_size=3))
    return replace(parse(draw(sources(entrypoint)), choices), metadata=metadata)


@given(definitions())
@settings(deadline=None)
def test_what_is_saved_is_what_is_loaded(udf: UdfDefinition) -> None:
    """From a folder, from an archive, and from a folder whose `meta.json` holds the code."""
    with tempfile.TemporaryDirectory() as directory:
        path = write_folder(udf, Path(directory) / "saved")
        archive = Path(directory) / "saved.zip"
        write_archive(udf, archive)

        assert definition_of(Folder(path)) == udf
        assert definition_of(read_archive(archive)) == udf

        put_code_inside(path)
        assert definition_of(Folder(path)) == udf
        assert definition_of(Folder(path)).digest == udf.digest


def put_code_inside(path: Path) -> None:
    """As in many of Fused's public UDFs: `code` for `source`, and no Python file."""
    meta = json.loads((path / "meta.json").read_bytes())
    udf = meta["job_config"]["steps"][0]["udf"]
    udf["code"] = (path / udf.pop("source")).read_bytes().decode()
    for header in udf["headers"]:
        header["source_code"] = (path / header.pop("source_file")).read_bytes().decode()
    for file in path.glob("*.py"):
        file.unlink()
    (path / "meta.json").write_text(json.dumps(meta))


SOURCE = (
    "\n# Zürich 🌍 ünï — tabs, blanks and all\r\n"
    "@fused.udf(headers=['utils.py'], name='towns',   cache_max_age='1h')   # a comment\r\n"
    "def udf( n:int=2 ):\t\r\n\tfrom utils import X\r\n\treturn n*X   \n\n\n"
)


def test_files_hold_the_sources_byte_by_byte(definition: Callable[..., UdfDefinition], tmp_path: Path) -> None:
    """Comments, line ends, blanks, and what the decorator says."""
    udf = definition(SOURCE, headers=(HeaderModule(module_name="utils", source="X = 'ü' \r\n"),))

    path = write_folder(udf, tmp_path / "towns")

    assert sorted(file.name for file in path.iterdir()) == ["README.MD", "meta.json", "towns.py", "utils.py"]
    assert (path / "towns.py").read_bytes() == udf.source.encode()
    assert (path / "utils.py").read_bytes() == "X = 'ü' \r\n".encode()
    ast.parse((path / "towns.py").read_bytes())


def test_meta_has_the_fields_of_the_official_client(definition: Callable[..., UdfDefinition], tmp_path: Path) -> None:
    """As version 2.9.5 wrote them for the same UDF; it renames the function to `udf`, we say what it is called."""
    udf = definition(
        "@fused.udf(cache_max_age='1h')\ndef job(n: int = 2):\n    '''Twice.'''\n    return n",
        headers=(HeaderModule(module_name="utils", source="X = 2"),),
        default_parameters={"n": 7},
    )

    path = write_folder(udf, tmp_path / "job")

    assert json.loads((path / "meta.json").read_bytes()) == {
        "job_config": {
            "name": None,
            "steps": [
                {
                    "type": "udf", "name": "job", "metadata": None, "ignore_chunk_error": False, "n_processes": None,
                    "udf": {
                        "name": "job", "type": "geopandas_v2",
                        "headers": [{"module_name": "utils", "source_file": "utils.py"}],
                        "metadata": {}, "collection_id": None, "collection_name": None, "entrypoint": "job",
                        "cache_max_age": 3600, "engine": None, "disk_size_gb": None, "region": None,
                        "parameters": {"n": 7}, "original_headers": None, "source": "job.py",
                    },
                    "input": None,
                }
            ],
            "metadata": None,
        }
    }  # fmt: skip
    assert (path / "README.MD").read_text() == "# job\n\nTwice.\n"


def test_metadata_that_json_cannot_hold_is_refused(definition: Callable[..., UdfDefinition], tmp_path: Path) -> None:
    """Before anything is written."""
    for value in ({1, 2}, float("nan"), "\ud800"):
        udf = replace(definition("def f(): pass"), metadata={"x": value})
        with pytest.raises(ArgumentError, match="f: its metadata"):
            write_folder(udf, tmp_path / "f")
    assert not list(tmp_path.iterdir())


# -- folders of others


def test_folder_of_the_official_client_is_loaded(folder: MakeFolder) -> None:
    """With all that it says; what it says beyond that is no obstacle."""
    path = folder(
        {"utils.py": "X = 1"},
        headers=[{"module_name": "utils", "source_file": "utils.py"}],
        metadata={"fused:description": "Quakes", "x": 1},
        cache_max_age=3600,
        parameters={"n": 3},
        engine="small",
        original_headers="['utils.py']",
        nobody_knows={"a": 1},
    )

    udf = definition_of(Folder(path), directory="/somewhere")

    assert (udf.name, udf.entrypoint, udf.source) == ("quakes", "udf", (path / "quakes.py").read_text())
    assert udf.headers == (HeaderModule(module_name="utils", source="X = 1"),)
    assert udf.metadata == {"fused:description": "Quakes", "x": 1}
    assert (udf.cache_max_age, udf.default_parameters, udf.directory) == (3600, {"n": 3}, "/somewhere")
    assert udf.placement == {"engine": "small"}
    assert udf.signature == "quakes(n: int = 3)"


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({"other.py": "def udf(): pass", "quakes.py": ...}, {"source": "other.py"}),
        ({"quakes.py": ...}, {"source": ..., "code": "def udf(): pass"}),
        ({"quakes.py": "def udf(): 1"}, {"source": None, "code": "def udf(): pass"}),
        ({"quakes.py": "def udf(): 1\ndef main(): pass"}, {"entrypoint": "main"}),
        ({"quakes.py": "@fused.udf\ndef other(): 1\n@fused.udf\ndef udf(): pass"}, {"entrypoint": None}),
        ({"quakes.py": "def udf(): 1\ndef udf(): pass"}, {}),
        ({"quakes.py": b"\xef\xbb\xbfdef udf(): pass"}, {}),
        ({"README.MD": ..., "readme.md": "# hello"}, {}),
        ({"meta.json": ...}, {}),
        ({"meta.json": ..., "quakes.py": "@fused.udf\ndef udf(): pass\n@fused.udf\ndef other(): 1"}, {}),
    ],
)
def test_folder_may_look_otherwise(folder: MakeFolder, files: Any, changes: Any) -> None:
    """Its file may have any name, or the code stand in `meta.json`; without that the one Python file is it."""
    udf = definition_of(Folder(folder(files, **changes)))

    assert udf.name == "quakes"
    function = [node for node in ast.parse(udf.source).body if getattr(node, "name", "") == udf.entrypoint][-1]
    assert isinstance(function, ast.FunctionDef)
    assert "1" not in ast.unparse(function)


@pytest.mark.parametrize(
    ("name", "fits"),
    [("my udf-2", "my_udf_2"), ("2025", "_2025"), ("class", "class_"), ("größe", "gr__e"), (None, "quakes")],
)
def test_name_is_made_to_fit_into_a_url(folder: MakeFolder, name: str | None, fits: str) -> None:
    """Others allow what we do not."""
    assert definition_of(Folder(folder(name=name))).name == fits


HEADER = {"module_name": "utils", "source_file": "utils.py"}


@pytest.mark.parametrize(
    ("files", "changes", "says"),
    [
        ({"meta.json": "{"}, {}, "quakes/meta.json is no JSON"),
        ({"meta.json": b"\xff"}, {}, "quakes/meta.json is no JSON"),
        ({"meta.json": "[" * 100_000}, {}, "quakes/meta.json is no JSON"),
        ({"meta.json": "[]"}, {}, "there should be an object with 'job_config'"),
        ({"meta.json": '{"job_config": {}}'}, {}, "'steps' should be a list, it is None"),
        ({"meta.json": '{"job_config": {"steps": []}}'}, {}, '"steps" has 0 entries; a UDF is one step'),
        ({"meta.json": '{"job_config": {"steps": [{"type": "udf"}, {}]}}'}, {}, '"steps" has 2 entries'),
        ({"meta.json": '{"job_config": {"steps": [{"type": "gpu"}]}}'}, {}, "of type 'gpu'"),
        ({}, {"source": ...}, '"udf" needs "source", the name of a Python file, or "code"'),
        ({}, {"source": ["quakes.py"]}, "'source' should be text"),
        ({}, {"cache_max_age": "soon"}, "cache_max_age: got 'soon'"),
        ({}, {"headers": {}}, "'headers' should be a list"),
        ({}, {"headers": [{"module_name": "utils"}]}, "header 'utils' needs \"source_file\""),
        ({}, {"headers": [HEADER]}, "has no file 'utils.py'"),
        ({"utils.py": "x ="}, {"headers": [HEADER]}, r"quakes.py: header utils: SyntaxError: .*line 1"),
        ({}, {"headers": [{"module_name": "my-utils", "source_code": ""}]}, "'my-utils': no name that can be imported"),
        ({"quakes.py": ...}, {}, "has no file 'quakes.py'"),
        ({"quakes.py": b"# \xff\ndef udf(): pass"}, {}, r"quakes.py is not UTF-8 \(invalid start byte at byte 2\)"),
        ({"quakes.py": "def udf(:"}, {}, r"quakes/quakes.py: SyntaxError: .*\(line 1\)"),
        ({"quakes.py": "X = 1"}, {}, "quakes.py: there is no function here"),
        ({"quakes.py": "def other(): pass"}, {}, "there is no function 'udf' here; there is other"),
        ({}, {"parameters": {"m": 1}}, "no parameter 'm'"),
        ({}, {"metadata": {"nodeTemplateType": "textbox"}}, "is a textbox of a canvas, no UDF"),
        ({"meta.json": ..., "utils.py": ""}, {}, "more than one Python file; load one of quakes.py, utils.py"),
        ({"meta.json": ..., "quakes.py": ...}, {}, "is no UDF: there is no meta.json, and no Python file"),
        ({"quakes.py": "@udf\ndef a(): 1\n@udf\ndef b(): 1", "meta.json": ...}, {}, r"2 UDFs here \(a, b\)"),
    ],
)  # fmt: skip
def test_broken_folder_says_what_is_wrong(folder: MakeFolder, files: Any, changes: Any, says: str) -> None:
    """Which file, what came, what was wanted."""
    path = folder(files, **changes)

    with pytest.raises(UdfDefinitionError, match=says) as caught:
        definition_of(Folder(path))
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "C:\\secret.py", "..\\x.py", "a/../../x.py", "link.py", "down/link.py", "\0"],
)
def test_nothing_outside_of_the_folder_is_read(folder: MakeFolder, name: str) -> None:
    """Not by any name, and not through a link."""
    path = folder(source=name)
    (path.parent / "x.py").write_text("def udf(): pass")
    (path / "down").mkdir()
    for link in ("link.py", "down/link.py"):
        (path / link).symlink_to(path.parent / "x.py")

    with pytest.raises(UdfDefinitionError, match="lies outside|is a link to"):
        definition_of(Folder(path))


def test_files_may_lie_in_folders_below(folder: MakeFolder) -> None:
    """As long as that is inside."""
    path = folder(source="src/main.py")
    (path / "src").mkdir()
    (path / "src" / "main.py").write_text("def udf(): pass")

    assert definition_of(Folder(path)).source == "def udf(): pass"


@pytest.mark.parametrize("collection", [True, False])
def test_folder_of_udfs_names_them(folder: MakeFolder, collection: bool) -> None:
    """Without the notes of a canvas."""
    path = folder(metadata=...)
    if collection:
        (path.parent / "collection.json").write_text("{}")
    (path.parent / "note_1").mkdir()
    note = (path / "meta.json").read_text().replace('"udf": {', '"udf": {"metadata": {"nodeTemplateType": "textbox"}, ')
    (path.parent / "note_1" / "meta.json").write_text(note)
    (path.parent / "nothing").mkdir()

    what = "is a canvas of UDFs" if collection else "holds UDFs"
    with pytest.raises(UdfDefinitionError, match=f"{what}; load one of its folders: quakes$"):
        definition_of(Folder(path.parent))


# -- a file, a text


def test_file_is_called_as_its_udf_or_as_itself(tmp_path: Path) -> None:
    """A name in the decorator counts more."""
    (tmp_path / "my-quakes.py").write_text("@fused.udf\ndef udf(): pass")
    (tmp_path / "named.py").write_text("@fused.udf(name='towns')\ndef udf(): pass")

    assert definition_of_file(Folder(tmp_path), "my-quakes.py").name == "my_quakes"
    assert definition_of_file(Folder(tmp_path), "named.py").name == "towns"


def test_headers_that_the_decorator_names_lie_beside_the_file(tmp_path: Path) -> None:
    """As paths, or as text."""
    (tmp_path / "utils.py").write_text("X = 1")
    code = "@fused.udf(headers=['utils.py', {'module_name': 'more', 'source_code': 'Y = 2'}])\ndef udf(): pass"
    (tmp_path / "a.py").write_text(code)

    udf = definition_of_file(Folder(tmp_path), "a.py")

    assert [(header.module_name, header.source) for header in udf.headers] == [("utils", "X = 1"), ("more", "Y = 2")]
    for broken, says in [
        ("'nowhere.py'", "has no file 'nowhere.py'"),
        ("'../a.py'", "lies outside"),
        ("{'module_name': 'x'}", "one has no 'source_code'"),
    ]:
        with pytest.raises(UdfDefinitionError, match=says):
            definition_of_code(f"@fused.udf(headers=[{broken}])\ndef udf(): pass", Folder(tmp_path))
