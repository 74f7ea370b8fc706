"""What the owner may ask of saved UDFs, tokens and files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fused_jupyter.errors import FusedError, MissingFileError, ProtocolError
from fused_jupyter.runtime.desk import Desk
from fused_jupyter.settings import Options
from fused_jupyter.storage import Library
from fused_jupyter.wire import Ask


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(Library(tmp_path), Options(data_directory=str(tmp_path)), lambda _: None)


def ask(desk: Desk, what: str, **arguments: object) -> bytes:
    return asyncio.run(desk.obey(Ask(id=1, what=what, arguments=arguments)))


def test_an_unknown_deed_is_of_another_version(desk: Desk) -> None:
    """A newer server may ask for what this host cannot do."""
    assert ask(desk, "udfs.list") == b"[]"
    with pytest.raises(ProtocolError, match=r"udfs\.paint"):
        ask(desk, "udfs.paint")


def test_what_the_disk_refuses_is_said_without_the_path(desk: Desk, tmp_path: Path) -> None:
    """It is told to who has a signature, too."""
    (tmp_path / "signing.key").mkdir()

    with pytest.raises(FusedError, match=r"files\.sign: Is a directory") as caught:
        ask(desk, "files.sign", path="fd://a")

    assert type(caught.value) is FusedError
    assert str(tmp_path) not in caught.value.message


def test_an_error_of_ours_keeps_its_class(desk: Desk) -> None:
    """Also where it is an error of the system by another parent."""
    with pytest.raises(MissingFileError, match="is not there"):
        ask(desk, "files.open", path="fd://a")
