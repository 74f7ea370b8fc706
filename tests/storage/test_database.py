from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fused_jupyter.errors import AccessError, BusyError, FusedError
from fused_jupyter.storage import Library, database
from fused_jupyter.udfs import UdfDefinition, parse

Define = Callable[..., UdfDefinition]

_START = """
    import os, sys, threading, time
    from pathlib import Path
    from fused_jupyter.storage import Library
    from fused_jupyter.udfs import parse

    library = Library(Path(sys.argv[1]))

    def save(number, name="f"):
        return library.save(parse(f"def {name}():\\n    return {number!r}"), overwrite=True)
"""


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """A process with a library of its own; the first argument is the directory."""
    program = textwrap.dedent(_START) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    return output


def save(library: Library, value: Any, name: str = "f") -> Any:
    return library.save(parse(f"def {name}():\n    return {value!r}"), overwrite=True)


def value_of(definition: UdfDefinition) -> str:
    return definition.source.rpartition(" ")[2]


def check_integrity(directory: Path) -> None:
    """Read by SQLite itself."""
    with sqlite3.connect(directory / "library.sqlite3") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


# -- many at once


def test_processes_that_save_at_once_lose_nothing(tmp_path: Path) -> None:
    """Also when the first save makes the file: each version is there, once, and none was refused."""
    code = """
        begin = time.monotonic() + float(sys.argv[3]) - time.time()
        time.sleep(max(0, begin - time.monotonic()))
        for number in range(40):
            save(f"{sys.argv[2]}-{number}")
    """
    soon = time.time() + 2
    processes = [start(code, tmp_path, name, soon) for name in ("a", "b", "c")]

    for process in processes:
        finish(process)

    library = Library(tmp_path)
    versions = library.versions(library.find("f").id)
    assert [each.version for each in versions] == list(range(1, 121))
    assert {value_of(each.definition) for each in versions} == {f"'{n}-{i}'" for n in "abc" for i in range(40)}
    check_integrity(tmp_path)


def test_threads_share_a_library(library: Library) -> None:
    """Writers and readers, each of which sees a whole version."""
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                save(library, number, name)
                assert value_of(library.find(name).definition) == str(number)
                library.changes()
        except BaseException as exc:  # noqa: BLE001 - told to the test
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(f"f{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert [each.version for each in library.udfs()] == [20] * 6


def test_reader_sees_old_or_new_while_another_writes(library: Library, tmp_path: Path) -> None:
    """Nothing between, and no error."""
    save(library, 0)
    process = start("for number in range(1, 100): save(number)", tmp_path)

    seen = [0]
    while process.poll() is None:
        found = library.find("f")
        assert value_of(found.definition) == str(found.version - 1)
        seen.append(found.version)

    finish(process)
    assert seen == sorted(seen)
    assert library.find("f").version == 100


def test_long_writer_is_said_to_be_busy(library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the status of a server that asks to come again; reading goes on."""
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    save(library, 1)
    impatient = Library(tmp_path)

    with library._database.writing(), pytest.raises(BusyError, match=r"library\.sqlite3.*0\.1 s"):
        save(impatient, 2)

    assert impatient.find("f").version == 1
    assert save(impatient, 2).version == 2


# -- crashes


def test_killed_in_the_middle_leaves_the_old_version(library: Library, tmp_path: Path) -> None:
    """Half of the new one is on disk by then; the journal takes it back."""
    save(library, "old")
    code = """
        with library._database.writing() as connection:
            connection.execute("PRAGMA cache_size = 5")
            connection.execute("UPDATE udfs SET version = 7")
            connection.executemany("INSERT INTO codes VALUES (?, ?)", [(str(i), "x" * 4000) for i in range(500)])
            print("half", flush=True)
            time.sleep(60)
    """
    process = start(code, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    assert (tmp_path / "library.sqlite3").stat().st_size > 1_000_000
    assert (tmp_path / "library.sqlite3-journal").stat().st_size > 0

    process.kill()
    process.communicate()

    for reader in (library, Library(tmp_path)):
        assert (reader.find("f").version, value_of(reader.find("f").definition)) == (1, "'old'")
    assert save(library, "new").version == 2
    check_integrity(tmp_path)


def test_whatever_was_answered_survives_kills(library: Library, tmp_path: Path) -> None:
    """Killed at any moment: what `save` returned is there, and the next one goes on."""
    answered = 0
    for pause in (0.0, 0.003, 0.011, 0.02, 0.047, 0.08):
        process = start("while True: print(save(time.time_ns()).version, flush=True)", tmp_path)
        assert process.stdout is not None
        answered = int(process.stdout.readline())
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        answered = int((process.communicate()[0].split() or [answered])[-1])

        assert library.find("f").version in {answered, answered + 1}
        assert len(library.versions(library.find("f").id)) == library.find("f").version

    check_integrity(tmp_path)


def test_failed_block_changes_nothing(library: Library) -> None:
    """Neither for others nor for itself, and the next transaction begins."""
    save(library, 1)
    before = library.changes()

    def fail() -> None:
        with library._database.writing() as connection:
            connection.execute("DELETE FROM udfs")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert library.find("f").version == 1
    assert library.changes() == before
    assert save(library, 2).version == 2


# -- forks


def test_forked_child_has_connections_of_its_own(tmp_path: Path) -> None:
    """Parent and child write in turn and at once; each sees what the other did."""
    code = """
        save("parent")
        before = library.changes()
        readers, writers = os.pipe()
        child = os.fork()
        if child == 0:
            for number in range(30):
                save(f"child {number}", "g")
            assert library.changes() != before
            assert library.find("f").version >= 1
            os._exit(0)
        for number in range(30):
            save(number)
        assert os.waitpid(child, 0)[1] == 0
        assert library.changes() != before
        assert library.find("g").version == 30
        assert library.find("f").version == 31
    """
    finish(start(code, tmp_path))

    check_integrity(tmp_path)


def test_fork_in_the_middle_of_other_threads_transactions(tmp_path: Path) -> None:
    """A child that took over a lock that it has not would wait for ever, or read half of a version."""
    code = """
        save(0)
        done = threading.Event()

        def write():
            number = 0
            while not done.is_set():
                number += 1
                save(number)

        def look():
            while not done.is_set():
                library.changes()
                library.find("f")

        threads = [threading.Thread(target=work) for work in (write, look, look)]
        for thread in threads:
            thread.start()
        for number in range(25):
            child = os.fork()
            if child == 0:
                save(number, "g")
                assert library.find("g").version == number + 1
                library.changes()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        done.set()
        for thread in threads:
            thread.join()
        assert library.find("g").version == 25
    """
    began = time.monotonic()

    finish(start(f"import warnings\nwarnings.simplefilter('ignore')\n{textwrap.dedent(code)}", tmp_path))

    assert time.monotonic() - began < 30
    check_integrity(tmp_path)


# -- changes


def test_changes_tells_of_each_commit(library: Library, tmp_path: Path) -> None:
    """Of this library, of another one in this process, and of another process; of nothing else."""
    seen = [library.changes()]
    save(library, 1)
    seen.append(library.changes())
    _, token = library.create_token(collection="default")
    seen.append(library.changes())
    Library(tmp_path).delete_token(token.id)
    seen.append(library.changes())
    finish(start("save(2)", tmp_path))
    seen.append(library.changes())

    assert len(set(seen)) == len(seen)
    library.find("f")
    library.udfs()
    assert library.stamp.exists()
    Library(tmp_path).find("f")
    assert library.changes() == seen[-1]


def test_changes_does_not_wait_for_a_writer(library: Library, tmp_path: Path) -> None:
    """It is asked for with each request; the commit is told of when it is there."""
    save(library, 1)
    before = library.changes()

    with Library(tmp_path)._database.writing() as connection:
        connection.execute("PRAGMA cache_size = 5")  # so that the writer needs the whole file before it commits
        connection.executemany("INSERT INTO codes VALUES (?, ?)", [(str(i), "x" * 4000) for i in range(100)])
        began = time.perf_counter()
        assert library.changes() == before
        assert time.perf_counter() - began < 0.5

    assert library.changes() != before


def test_changes_is_cheap(library: Library) -> None:
    """Some ten microseconds; the bound leaves room for a busy machine."""
    save(library, 1)
    library.changes()

    best = min(_seconds_of(library.changes) for _ in range(200))

    assert best < 200e-6


def _seconds_of(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def test_file_that_was_put_back_is_read(library: Library, tmp_path: Path) -> None:
    """By those who have the old one open; nothing is written into what is gone."""
    save(library, 1)
    copy = (tmp_path / "library.sqlite3").read_bytes()
    stamp = library.stamp.stat().st_mtime_ns
    save(library, 2)
    before = library.changes()

    (tmp_path / "copy").write_bytes(copy)
    (tmp_path / "copy").replace(tmp_path / "library.sqlite3")

    assert library.changes() != before
    assert library.find("f").version == 1
    assert library.stamp.stat().st_mtime_ns == stamp
    assert save(library, 3).version == 2
    assert Library(tmp_path).find("f").version == 2


def test_deleted_file_is_begun_anew(library: Library, tmp_path: Path) -> None:
    """As if nothing had been saved."""
    save(library, 1)
    before = library.changes()

    (tmp_path / "library.sqlite3").unlink()

    assert library.udfs() == []
    assert library.changes() != before
    assert save(library, 2).version == 1


# -- whose it is


def modes(directory: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in [directory, *directory.iterdir()]}


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """The directory, the file and its journal from their first moment on; nothing else is left there."""
    directory = tmp_path / "data"
    library = Library(directory)
    mask = os.umask(0)
    try:
        save(library, 1)
        with library._database.writing() as connection:
            connection.execute("DELETE FROM stamps")
            during = modes(directory)
    finally:
        os.umask(mask)

    private = {"data": "0o700", "library.sqlite3": "0o600", "udfs.stamp": "0o600"}
    assert during == private | {"library.sqlite3-journal": "0o600"}
    assert modes(directory) == private


def test_copy_that_others_can_read_becomes_private(library: Library, tmp_path: Path) -> None:
    """When it is opened."""
    save(library, 1)
    (tmp_path / "library.sqlite3").chmod(0o664)

    assert Library(tmp_path).find("f").version == 1

    assert modes(tmp_path)["library.sqlite3"] == "0o600"


def test_file_of_another_user_is_refused(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its UDFs would run with the rights of whoever opens it."""
    save(library, 1)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    stranger = Library(tmp_path)

    for call in (stranger.udfs, stranger.changes):
        with pytest.raises(AccessError, match=f"belongs to another user .uid {me}."):
            call()
    with pytest.raises(AccessError):
        save(stranger, 2)


@pytest.mark.parametrize("mode", [0o775, 0o770])
def test_directory_is_taken_from_the_group(tmp_path: Path, mode: int) -> None:
    """Many systems make directories so, also this one for files that were downloaded before anything was saved."""
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(mode)

    save(Library(directory), 1)

    assert modes(directory)["data"] == oct(mode & ~0o020)


@pytest.mark.parametrize("mode", [0o1777, 0o707])
def test_directory_that_everybody_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """They could put another library there; it stays as it is, as it may be `/tmp`."""
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(mode)

    with pytest.raises(AccessError, match="chmod go-w"):
        save(Library(directory), 1)

    assert modes(directory) == {"data": oct(mode)}

    directory.chmod(0o700)
    save(Library(directory), 1)
    directory.chmod(mode)
    with pytest.raises(AccessError, match="chmod go-w"):
        Library(directory).udfs()


def test_directory_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    """In words, with the path."""
    (tmp_path / "file").touch()

    with pytest.raises(FusedError, match=r"file/data/library\.sqlite3: it cannot be written to"):
        save(Library(tmp_path / "file" / "data"), 1)


# -- what is no library


def test_newer_form_is_left_alone(library: Library, tmp_path: Path) -> None:
    """An older version would lose what it does not know of."""
    save(library, 1)
    with library._database.writing() as connection:
        connection.execute("PRAGMA user_version = 2")

    for call in (Library(tmp_path).udfs, lambda: save(Library(tmp_path), 2)):
        with pytest.raises(FusedError, match=r"newer fused_jupyter \(version 2 .* knows 1\); upgrade"):
            call()


def test_damaged_file_is_said_to_be_so(library: Library, tmp_path: Path) -> None:
    """In words, with its path; it is not touched."""
    (tmp_path / "library.sqlite3").write_bytes(b"no library" * 1000)

    for call in (library.udfs, library.changes, lambda: save(library, 1)):
        with pytest.raises(FusedError, match=r"library\.sqlite3: it is damaged"):
            call()

    assert (tmp_path / "library.sqlite3").read_bytes() == b"no library" * 1000


def test_empty_file_of_a_crash_is_taken_over(library: Library, tmp_path: Path) -> None:
    """Who made it was killed before it wrote anything."""
    (tmp_path / "library.sqlite3").touch()

    assert library.udfs() == []
    assert save(library, 1).version == 1


def test_write_ahead_log_is_given_up(library: Library, tmp_path: Path) -> None:
    """Other programs may have chosen it, and it does not work on network file systems."""
    save(library, 1)
    other = sqlite3.connect(tmp_path / "library.sqlite3")
    other.execute("PRAGMA journal_mode = WAL")
    other.close()

    assert Library(tmp_path).find("f").version == 1

    # Bytes 18 and 19 of the file say how it is written and read: 1 with a rollback journal, 2 with a log.
    assert (tmp_path / "library.sqlite3").read_bytes()[18:20] == b"\1\1"


def test_half_a_character_is_nowhere(library: Library) -> None:
    """SQLite would not take it; what comes from outside may have it."""
    for call in (library.find, library.by_id, library.collection):
        with pytest.raises(FusedError, match="ud800"):
            call("\ud800")


def test_path_may_have_any_characters(tmp_path: Path) -> None:
    """SQLite takes it as a URI."""
    library = Library(tmp_path / "50% of é?mode=memory#x&y")

    save(library, 1)

    assert (tmp_path / "50% of é?mode=memory#x&y" / "library.sqlite3").stat().st_size > 0
