from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.engines.environment import (
    ChosenEnvironment,
    WorkerEnvironment,
    check_variable,
)
from fused_jupyter.errors import ArgumentError
from fused_jupyter.settings import is_secret, without_secrets

if TYPE_CHECKING:
    from conftest import Workshop

SECRETS = [
    "JUPYTER_TOKEN",
    "JUPYTERHUB_API_TOKEN",
    "JPY_API_TOKEN",
    "CONFIGPROXY_AUTH_TOKEN",
    "FUSED_AUTH_TOKEN",
    "JPY_COOKIE_SECRET",
    "JUPYTERHUB_CRYPT_KEY",
    "JUPYTER_PASSWORD",
    "JUPYTERHUB_COOKIE_SECRET_FILE",
]
GETS = "import os\ndef gets(name: str):\n    return os.environ.get(name)"
ALL = "import os\ndef everything():\n    return dict(os.environ)"


# -- secrets


@pytest.mark.parametrize("name", SECRETS)
def test_what_opens_a_server_is_secret(name: str) -> None:
    """And it may not be chosen either."""
    assert is_secret(name)
    with pytest.raises(ArgumentError, match=name):
        check_variable(name, "value")


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "JUPYTERHUB_USER", "FUSED_WORKERS", "JPY_PARENT_PID", "TOKEN"]
)
def test_what_udfs_need_is_not(name: str) -> None:
    """The credentials of one's data are what UDFs work with."""
    assert not is_secret(name)
    assert without_secrets({name: "value"}) == {name: "value"}


def test_no_process_of_the_engine_has_a_secret(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the UDF nor what it reads of its own process, of the template, or of what it starts."""
    from dataclasses import replace

    from fused_jupyter.engines import LocalEngine

    for name in SECRETS:
        monkeypatch.setenv(name, "the-servers-own")
    monkeypatch.setenv("OF_THE_USER", "a value")
    source = """
        import os, subprocess
        def f():
            texts = [open(f"/proc/{pid}/environ").read() for pid in (os.getpid(), os.getppid())]
            return [*texts, subprocess.run(["env"], capture_output=True, text=True).stdout, repr(dict(os.environ))]
    """
    engine = LocalEngine(replace(workshop.options, workers=1, spare_workers=0))
    whole, workshop.engine = workshop.engine, engine
    try:
        texts = workshop.run(source)
        processes = psutil.Process().children(recursive=True)
        ours = [each.environ() for each in processes if each.pid in engine.pids]
    finally:
        workshop.wait(engine.close())
        workshop.engine = whole

    assert len(texts) == 4
    assert len(ours) == 1
    for text in (*texts, repr(ours)):
        assert "the-servers-own" not in text
        assert "OF_THE_USER" in text


# -- what one call does to it


@pytest.fixture
def clean(workshop: Workshop) -> Iterator[Workshop]:
    """The workshop, in which nothing is chosen before and after."""
    yield workshop
    workshop.engine.choose_environment({})
    Path(workshop.options.mount_directory, ".env").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "mischief",
    [
        "os.environ['LEFT'] = 'behind'",
        "os.environ.update(LEFT='behind', PATH='/nowhere')",
        "del os.environ['PATH']",
        "os.environ.clear()",
        "os.environ = {'LEFT': 'behind'}",
        "os.environb[b'LEFT'] = b'behind'",
    ],
)
def test_changes_of_a_udf_end_with_its_call(clean: Workshop, mischief: str) -> None:
    """Also for what the next one starts; and whether it failed or not."""
    before = clean.run(ALL)

    pid = clean.run(f"import os\ndef f():\n    {mischief}\n    return os.getpid()")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        clean.run(f"import os\ndef f():\n    {mischief}\n    1 / 0")
    after, child, same = clean.run(
        "import os, subprocess\ndef g():\n"
        "    child = subprocess.run(['/usr/bin/env'], capture_output=True, text=True).stdout\n"
        "    return dict(os.environ), child, os.getpid()"
    )

    assert same == pid
    assert after == before
    names = {line.partition("=")[0] for line in child.splitlines()}
    assert "PATH" in names
    assert "LEFT" not in names


# -- the notebook's choice


def test_chosen_variables_are_there_at_the_next_run(clean: Workshop) -> None:
    """In workers that run already, without a restart; those that are chosen no more are gone, or as they were."""
    pid = clean.run("import os\ndef pid(): return os.getpid()")
    path = clean.run(GETS, parameters={"name": "PATH"})

    clean.engine.choose_environment({"CHOSEN": "größer", "PATH": "/elsewhere"})
    seen = [clean.run(GETS, parameters={"name": name}) for name in ("CHOSEN", "PATH")]
    clean.engine.choose_environment({"OTHER": ""})
    later = [clean.run(GETS, parameters={"name": name}) for name in ("CHOSEN", "PATH", "OTHER")]

    assert seen == ["größer", "/elsewhere"]
    assert later == [None, path, ""]
    assert clean.run("import os\ndef pid(): return os.getpid()") == pid


def test_udf_may_change_a_chosen_variable_for_itself(clean: Workshop) -> None:
    """The next call has the chosen value again."""
    clean.engine.choose_environment({"CHOSEN": "one"})
    clean.run("import os\ndef f(): os.environ['CHOSEN'] = 'two'")

    assert clean.run(GETS, parameters={"name": "CHOSEN"}) == "one"


@pytest.mark.parametrize("name", ["", "A=B", "NUL\0", "JUPYTER_TOKEN", "FUSED_JUPYTER_WORKER"])
def test_choice_that_no_udf_can_have_is_refused(clean: Workshop, name: str) -> None:
    """And changes nothing."""
    clean.engine.choose_environment({"CHOSEN": "one"})

    with pytest.raises(ArgumentError, match="environment: "):
        clean.engine.choose_environment({"FINE": "1", name: "2"})

    assert clean.run(GETS, parameters={"name": "CHOSEN"}) == "one"
    assert clean.run(GETS, parameters={"name": "FINE"}) is None


# -- the file


def test_variables_of_the_file_are_there(clean: Workshop) -> None:
    """As dotenv files are written; a change counts from the next run on, and so does its end."""
    file = Path(clean.options.mount_directory, ".env")
    names = ("PLAIN", "QUOTED", "EXPORTED", "EMPTY")

    def seen() -> list[str | None]:
        return [clean.run(GETS, parameters={"name": name}) for name in names]

    nothing = seen()
    file.write_text("# for UDFs\nPLAIN=a b\nQUOTED='x # y'\nexport EXPORTED=1\nEMPTY=\n")
    first = seen()
    file.write_text("PLAIN=other\n")
    second = seen()
    file.unlink()

    assert nothing == [None] * 4
    assert first == ["a b", "x # y", "1", ""]
    assert second == ["other", None, None, None]
    assert seen() == [None] * 4


def test_notebook_wins_over_the_file_and_the_file_over_what_was_there(
    clean: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody wrote for UDFs counts more than what they happen to inherit."""
    file = Path(clean.options.mount_directory, ".env")
    file.write_text("HOME=/of/the/file\nBOTH=file\n")

    clean.engine.choose_environment({"BOTH": "notebook"})

    assert clean.run(GETS, parameters={"name": "HOME"}) == "/of/the/file"
    assert clean.run(GETS, parameters={"name": "BOTH"}) == "notebook"


def test_secret_in_the_file_is_passed_over(clean: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    """The host's log says so; the value is in no log."""
    Path(clean.options.mount_directory, ".env").write_text("JUPYTER_TOKEN=abcdef\nFINE=1\n")

    assert clean.run(GETS, parameters={"name": "JUPYTER_TOKEN"}) is None
    assert clean.run(GETS, parameters={"name": "FINE"}) == "1"
    said = capfd.readouterr().err
    assert "JUPYTER_TOKEN" in said
    assert "abcdef" not in said


def test_file_of_the_notebooks_directory_is_not_read(clean: Workshop, tmp_path: Path) -> None:
    """Whoever clones a repository runs no variables of strangers."""
    from fused_jupyter.udfs import Choices, parse

    (tmp_path / ".env").write_text("STRANGE=1\n")
    udf = parse("import os\ndef f(): return os.environ.get('STRANGE'), os.getcwd()", Choices(directory=str(tmp_path)))

    assert clean.wait(clean.ask(udf)) == (None, str(tmp_path))


def test_file_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    """Runs go on without it."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00A=1\n" * 10)
    environment = ChosenEnvironment(tmp_path / ".env")

    environment.choose({"A": "1"})

    assert environment.effective["A"] == "1"


# -- the digest


def test_digest_tells_environments_apart(tmp_path: Path) -> None:
    """Of the file's variables too; nothing chosen is the empty text, and the order does not matter."""
    environment = ChosenEnvironment(tmp_path / ".env")
    digests = [environment.digest]
    for chosen in ({"A": "1"}, {"A": "2"}, {"A": "1", "B": "2"}, {"A": "1B=2"}):
        environment.choose(chosen)
        digests.append(environment.digest)
    environment.choose({"B": "2", "A": "1"})
    same = environment.digest
    (tmp_path / ".env").write_text("C=3\n")
    with_file = environment.digest
    (tmp_path / ".env").unlink()
    environment.choose({})

    assert digests[0] == environment.digest == ""
    assert len({*digests, with_file}) == 6
    assert same == digests[3]


def test_nothing_new_is_the_same_object(tmp_path: Path) -> None:
    """So that a worker is told only what changed."""
    environment = ChosenEnvironment(tmp_path / ".env")
    environment.choose({"A": "1"})
    before = environment.effective

    assert environment.effective is before
    (tmp_path / ".env").write_text("B=2")
    assert environment.effective == {"A": "1", "B": "2"}


# -- inside the worker

variable = st.text(st.sampled_from("ABCDE"), min_size=1, max_size=2).map(lambda name: f"FUSED_TEST_{name}")
variables = st.dictionaries(variable, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5))


@given(st.lists(st.tuples(variables, variables), max_size=5))
def test_environment_is_the_base_with_what_is_chosen(steps: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    """Whatever was chosen and changed before; and in the end it is as it was at the start."""
    before = dict(os.environ)
    environment = WorkerEnvironment()
    for chosen, changed in steps:
        environment.choose(chosen)
        assert dict(os.environ) == before | chosen
        os.environ.update(changed)
        environment.restore()
        assert dict(os.environ) == before | chosen
    environment.choose({})

    assert dict(os.environ) == before


def test_c_code_sees_it_too() -> None:
    """GDAL and the like read the environment without Python."""
    code = """
import ctypes, os
from fused_jupyter.engines.environment import WorkerEnvironment
c = ctypes.CDLL(None)
c.getenv.restype = ctypes.c_char_p
environment = WorkerEnvironment()
environment.choose({"GDAL_CACHEMAX": "64"})
print(c.getenv(b"GDAL_CACHEMAX"))
os.environ["GDAL_CACHEMAX"] = "1"
environment.restore()
print(c.getenv(b"GDAL_CACHEMAX"))
environment.choose({})
print(c.getenv(b"GDAL_CACHEMAX"))
"""
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["b'64'", "b'64'", "None"]


def test_time_zone_is_that_of_the_choice(clean: Workshop) -> None:
    """C code keeps it until it is told."""
    source = "import time\ndef f(): return time.localtime(0).tm_hour"
    clean.engine.choose_environment({"TZ": "Asia/Kathmandu"})
    far = [clean.run(source) for _ in range(2)]
    clean.engine.choose_environment({"TZ": "UTC"})

    assert far == [5, 5]
    assert clean.run(source) == 0
