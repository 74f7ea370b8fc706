from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.errors import AccessError
from fused_jupyter.storage.signing import READ, WRITE, Permit, read_permit, signing_secret

SECRET = b"s" * 32
LATER = int(time.time()) + 10**6  # the whole suite may take an hour

permits = st.builds(
    Permit,
    url=st.text(min_size=1, max_size=20).map("fd://{}".format),
    method=st.sampled_from([READ, WRITE]),
    expires=st.integers(LATER, LATER + 10**6),
    length=st.none() | st.integers(0, 10**12),
)


@given(permits)
def test_permit_comes_back_as_it_was_signed(permit: Permit) -> None:
    """What an address carries is what was allowed."""
    assert read_permit(permit.url, permit.method, permit.query(SECRET), secret=SECRET) == permit


@given(permits, permits)
def test_signature_is_for_one_permit(one: Permit, other: Permit) -> None:
    """It opens nothing else: no other file, method, time or length."""
    if one == other:
        return
    query = other.query(SECRET) | {"signature": one.signed(SECRET)}

    with pytest.raises(AccessError):
        read_permit(other.url, other.method, query, secret=SECRET)


@pytest.mark.parametrize(
    "change",
    [
        {"signature": ""},
        {"signature": "ü"},
        {"signature": "0" * 64},
        {"expires": "never"},
        {"expires": ""},
        {"expires": "-5"},
        {"expires": "٣" * 9},
        {"expires": "9" * 400},
        {"expires": str(LATER + 1)},
        {"length": "1"},
        {"length": "x"},
    ],
)
def test_changed_address_opens_nothing(change: dict[str, str]) -> None:
    """Each part is signed; nonsense is refused like everything else."""
    query = Permit(url="fd://a", method=READ, expires=LATER).query(SECRET)

    with pytest.raises(AccessError, match="opens nothing"):
        read_permit("fd://a", READ, query | change, secret=SECRET)


def test_address_expires() -> None:
    """Its time is over at once; another secret never opens it."""
    over = Permit(url="fd://a", method=READ, expires=int(time.time()))

    with pytest.raises(AccessError) as expired:
        read_permit("fd://a", READ, over.query(SECRET), secret=SECRET)
    with pytest.raises(AccessError) as wrong:
        read_permit("fd://a", READ, Permit(url="fd://a", method=READ, expires=LATER).query(SECRET), secret=b"t" * 32)

    assert str(expired.value) == str(wrong.value)


def test_secret_stays_the_same_and_private(tmp_path: Path) -> None:
    """32 bytes that only their user can read, in a directory as private."""
    directory = tmp_path / "data"

    secret = signing_secret(directory)

    assert len(secret) == 32
    assert signing_secret(directory) == secret
    assert [path.name for path in directory.iterdir()] == ["signing.key"]
    assert stat.S_IMODE((directory / "signing.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_processes_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    """Whoever is first makes it, the others take it."""
    program = (
        "import sys, pathlib; from fused_jupyter.storage.signing import signing_secret; print(flush=True);"
        "sys.stdin.readline(); print(signing_secret(pathlib.Path(sys.argv[1])).hex())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    assert len({process.communicate(timeout=30)[0] for process in started}) == 1


@pytest.mark.parametrize("damage", ["open", "short", "empty", "link"])
def test_secret_that_others_may_know_is_not_used(damage: str, tmp_path: Path) -> None:
    """A file that others can read, or that is cut off, signs nothing."""
    signing_secret(tmp_path)
    path = tmp_path / "signing.key"
    if damage == "open":
        path.chmod(0o644)
    elif damage == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_bytes(b"" if damage == "empty" else b"x" * 31)

    with pytest.raises((AccessError, OSError)):
        signing_secret(tmp_path)


def test_forked_processes_sign_alike(tmp_path: Path) -> None:
    """The secret is that of the directory, not of the process."""
    permit = Permit(url="fd://a", method=READ, expires=LATER)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, permit.signed(signing_secret(tmp_path)).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 64).decode() == permit.signed(signing_secret(tmp_path))
