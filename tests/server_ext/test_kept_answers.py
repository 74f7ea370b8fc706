"""What is kept of runs, as browsers and programs see it: on a real server with a real kernel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_jupyter import Answer, JupyterServer, Kernel

Ask = Callable[..., Answer]

CHATTY = "def {name}(n: int = 1, free=None):\n    print('computed', n)\n    return {{'n': n}}"


@pytest.fixture(scope="module")
def chatty(kernel: Kernel) -> Kernel:
    """A kernel with a UDF that prints."""
    kernel.define(CHATTY.format(name="chatty"))
    return kernel


@pytest.fixture
def engine_runs(kernel: Kernel) -> Callable[[], int]:
    """How many runs the workers of `kernel` had."""
    return lambda: int(kernel.status()["runs"])


def digest(server: JupyterServer, name: str) -> str:
    return str(server.get(f"fused/udfs/{name}").json()["digest"])


def test_kept_answer_has_its_output_and_says_that_it_is_kept(chatty: Kernel, ask: Ask) -> None:
    """Also the one that the server itself had kept."""
    answers = [ask("fused/run/file/chatty.json?n=11") for _ in range(3)]

    assert [answer.headers["x-fused-cached"] for answer in answers] == [None, "1", "1"]
    assert {json.loads(answer.headers["x-fused-metadata"])["stdout"] for answer in answers} == {"computed 11\n"}
    assert len({answer.headers["ETag"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("48h", 48 * 3600),
        ("7d", 7 * 86400),
        ("60", 60),
        ("0", 0),
        ("0s", 0),
        ("", 90 * 86400),
    ],
)
def test_address_says_how_old_an_answer_may_be(chatty: Kernel, ask: Ask, age: str, seconds: int) -> None:
    """In all forms; without it, 90 days."""
    address = f"fused/run/file/chatty.json?n={2000 + seconds}&cache_max_age={age}&v={digest(chatty.server, 'chatty')}"

    first, second = ask(address), ask(address)

    assert (second.headers["x-fused-cached"] == "1") is (seconds > 0)
    if seconds:
        kept = int(first.headers["Cache-Control"].split("max-age=")[1].split(",")[0])
        assert seconds - 3 <= kept <= seconds
    else:
        assert first.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("pinned", [True, False])
def test_head_of_a_known_answer_costs_no_run(
    chatty: Kernel, server: JupyterServer, engine_runs: Callable[[], int], *, pinned: bool
) -> None:
    """Nor does the GET after the HEAD of an unknown one; with or without a version in the address."""
    version = f"&v={digest(server, 'chatty')}" if pinned else ""
    address = f"fused/run/file/chatty.json?n={31 + pinned}{version}"
    before = engine_runs()

    answers = [server.request(method, address) for method in ("HEAD", "GET", "HEAD", "HEAD", "GET")]

    assert engine_runs() - before == 1
    assert {answer.headers["ETag"] for answer in answers} == {answers[0].headers["ETag"]}
    assert {int(answer.headers["Content-Length"]) for answer in answers} == {len(answers[1].body)}


def test_spellings_of_a_number_are_one_run(chatty: Kernel, ask: Ask, engine_runs: Callable[[], int]) -> None:
    """Where the parameter is annotated; where it is not, the UDF could tell them apart."""
    before = engine_runs()
    for n in ("41", "041", "%2041"):
        assert ask(f"fused/run/file/chatty.json?n={n}").json() == {"n": 41}
    assert engine_runs() - before == 1

    for free in ("41", "041"):
        ask(f"fused/run/file/chatty.json?n=41&free={free}")
    assert engine_runs() - before == 3


def test_formats_have_etags_of_their_own(kernel: Kernel, ask: Ask) -> None:
    """Strong ones, the same each time."""
    kernel.define("import pandas as pd\ndef one():\n    return pd.DataFrame({'a': [1]})")

    tags = [ask(f"fused/run/file/one.{extension}").headers["ETag"] for extension in ("json", "csv", "json", "csv")]

    assert tags[:2] == tags[2:]
    assert len({tag for tag in tags if tag}) == 2
    assert not any(tag.startswith("W/") for tag in tags)


def test_etag_is_answered_before_anything_runs_after_a_restart(server: JupyterServer) -> None:
    """The answer lies on disk, and the browser has it still."""
    with server.running_kernel() as kernel:
        kernel.define(CHATTY.format(name="restarted"))
        etag = server.get("fused/run/file/restarted.json").headers["ETag"]
        kernel.restart()
        kernel.define(CHATTY.format(name="restarted"))

        again = server.get("fused/run/file/restarted.json", headers={"If-None-Match": etag})

        assert (again.status, again.headers["ETag"]) == (304, etag)
        assert kernel.status()["runs"] == 0


# -- what makes them void


@pytest.fixture
def counter(kernel: Kernel, tmp_path: Path) -> Iterator[str]:
    """The address of a UDF that gives what a file says; results do not see that."""
    path = tmp_path / "number.txt"
    path.write_text("1")
    kernel.define(f"def counter():\n    return int(open({str(path)!r}).read())")
    yield "fused/run/file/counter.json"
    kernel.execute("counter.delete_cache()").check()


@pytest.mark.parametrize("end", ["counter.delete_cache()", "fused.clear_cache()"])
def test_deleted_answers_are_given_by_nobody(kernel: Kernel, ask: Ask, counter: str, tmp_path: Path, end: str) -> None:
    """Not by the server either, not even the moment after the cell."""
    pinned = f"{counter}?v={digest(kernel.server, 'counter')}"
    assert [ask(address).json() for address in (counter, counter, pinned)] == [1, 1, 1]
    (tmp_path / "number.txt").write_text("2")
    assert ask(counter).json() == 1

    count = kernel.execute(f"import fused_jupyter as fused; print({end})").check()

    assert int(count.text) >= 1
    assert [ask(address).json() for address in (counter, pinned)] == [2, 2]


def test_chosen_variables_are_seen_at_once(kernel: Kernel, ask: Ask) -> None:
    """Also by the server, which had an answer; the one of before is there for the variables of before."""
    kernel.define("def flavour():\n    import os\n    return os.environ.get('FLAVOUR')")
    seen = []
    for flavour in ("mint", "plum", "mint"):
        kernel.execute(f"import fused_jupyter as fused; fused.set_env(FLAVOUR={flavour!r})").check()
        seen += [ask("fused/run/file/flavour.json").json() for _ in range(2)]
    kernel.execute("fused.set_env(FLAVOUR=None)").check()

    assert seen == ["mint", "mint", "plum", "plum", "mint", "mint"]


def test_edited_module_beside_the_notebook_is_seen_at_once(kernel: Kernel, ask: Ask, tmp_path: Path) -> None:
    """Also under a version's address, which promises no more than that; other UDFs keep theirs."""
    kernel.execute(f"import os; before = os.getcwd(); os.chdir({str(tmp_path)!r})").check()
    (tmp_path / "beside_it.py").write_text("NUMBER = 1\n")
    kernel.define("def beside():\n    import beside_it\n    return beside_it.NUMBER")
    kernel.define("def alone():\n    return 1")
    kernel.execute("os.chdir(before)").check()
    address = f"fused/run/file/beside.json?v={digest(kernel.server, 'beside')}"
    before = [ask(address) for _ in range(3)]
    ask("fused/run/file/alone.json")

    (tmp_path / "beside_it.py").write_text("NUMBER = 2\n")

    assert [answer.json() for answer in before] == [1, 1, 1]
    assert before[2].headers["x-fused-cached"] == "1"
    assert {answer.headers["Cache-Control"] for answer in before} == {"private, no-cache"}
    assert ask(address).json() == 2
    assert ask("fused/run/file/alone.json").headers["x-fused-cached"] == "1"
    assert ask(address, headers={"If-None-Match": before[0].headers["ETag"]}).status == 200
