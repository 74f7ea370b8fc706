"""From an address to a repository at a commit: what is kept, then mirrors, then the server."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from fused_jupyter.errors import UdfNotFoundError
from fused_jupyter.settings import Options
from fused_jupyter.storage.repositories.address import GITHUB, is_repository, repository_address
from fused_jupyter.storage.repositories.github import Remote
from fused_jupyter.storage.repositories.kept import Kept
from fused_jupyter.storage.repositories.mirrors import MirrorSnapshot, mirrors_of
from fused_jupyter.storage.repositories.snapshot import Snapshot
from fused_jupyter.udfs import parse_max_age

SETTINGS = (
    *("FUSED_GIT_MIRRORS", "FUSED_GITHUB_URL", "FUSED_GITHUB_MAX_AGE", "FUSED_CATALOGUES"),
    *("FUSED_DATA_DIRECTORY", "XDG_DATA_HOME", "HOME"),
)
"""What decides where a repository is found."""


class Repositories:
    """Repositories of GitHub, as the settings say where they are.

    Args:
        options: the settings.
    """

    def __init__(self, options: Options) -> None:
        self._mirrors = options.git_mirrors
        self._server = options.github_url.rstrip("/")
        self._max_age = parse_max_age(options.github_max_age)
        directory = Path(os.path.expanduser(options.data_directory))  # noqa: PTH111 - a Path raises where there is no home
        self._kept = Kept(directory / "github")

    @staticmethod
    def current() -> Repositories:
        """Those of the settings as they are now."""
        return _current(*(os.environ.get(name) for name in SETTINGS))

    def has(self, text: str) -> bool:
        """Whether a text is an address of a repository, on GitHub or on the server of the settings."""
        return is_repository(text) or (self._server != GITHUB and bool(self._server) and text.startswith(self._server))

    def open(self, url: str) -> tuple[Snapshot, str]:
        """The repository at the commit that an address means, and the path in it.

        A mirror answers first. One that has not fetched a commit yet is passed over.

        Raises:
            ArgumentError: it is no such address, or a mirror is none.
            UdfNotFoundError: there is no such repository or ref.
            DownloadError: it cannot be had now.
        """
        address = repository_address(url, host=urlsplit(self._server).hostname or "")
        for mirror in mirrors_of(self._mirrors, address.name):
            if (found := mirror.snapshot(address)) is not None:
                return found
        if not self._server:
            raise UdfNotFoundError(
                f"{address.url}: no mirror in fused.options.git_mirrors has it, and github_url is empty"
            )
        remote = Remote(name=address.name, server=self._server, kept=self._kept, max_age=self._max_age)
        return remote.snapshot(address)

    def mirrored(self, url: str) -> tuple[MirrorSnapshot, str] | None:
        """The same where a mirror has it, which can be searched; None where it would have to be asked for."""
        address = repository_address(url, host=urlsplit(self._server).hostname or "")
        found = (mirror.snapshot(address) for mirror in mirrors_of(self._mirrors, address.name))
        return next((each for each in found if each is not None), None)


@functools.lru_cache(maxsize=8)
def _current(*_: str | None) -> Repositories:  # what the settings depend on, so that a change of one is seen
    return Repositories(Options.from_environment(_own(os.environ)))


def _own(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what is wrong with other settings, which is said elsewhere."""
    return {name: environment[name] for name in SETTINGS if name in environment}
